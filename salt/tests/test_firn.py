"""
The formula's Python without Salt: what it believes, and what it does then.

Each hostile case changes one thing of a good fleet, and must be refused with nothing done: the state is run as Salt runs it, and every program that
it starts is written down. Run by the tests of the workspace; by hand: `python3 -m unittest discover -s salt/tests`.
"""

import copy
import importlib.util
import json
import os
import sys
import tempfile
import types
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Refused(Exception):
    """What Salt's CommandExecutionError is to the modules."""


sys.modules.setdefault("salt", types.ModuleType("salt"))
sys.modules.setdefault("salt.exceptions", types.ModuleType("salt.exceptions"))
sys.modules["salt.exceptions"].CommandExecutionError = Refused


def load(folder, name):
    place = os.path.join(TOP, folder, name + ".py")
    spec = importlib.util.spec_from_file_location(f"firn_test{folder}_{name}", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


firn, fleet, keys, push = (load("_modules", name) for name in ("firn", "firn_fleet", "firn_keys", "firn_push"))
state, ext = load("_states", "firn"), load("pillar", "backup_minute")
DIGITS = ["Hy" + letter * 41 for letter in "abcdefgh"]
KEYS = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + digits for digits in DIGITS]
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7"
HOSTS = ["web01", "db1.example.org", "mail"]


def good_mine():
    return {host: {"host": host, "key": KEYS[at], "from": [f"10.79.0.{11 + at}"]} for at, host in enumerate(HOSTS)}


def good_hosts():
    hosts = []
    for host, claim in good_mine().items():
        key = {"fingerprint": "SHA256:x", "line": f'restrict,from="{claim["from"][0]}" {claim["key"]}'}
        hosts.append({"host": host, "account": "a", "key": key, "from": claim["from"], "hours": [2, 10, 18],
                      "known_as": host, "limits": {}, "retired": None, "history": True, "complete": True})
    return hosts


def good_pillar():
    return {
        "backup_minute": 40,
        "firn": {
            "roles": ["push-client"],
            "packages": {"version": "0.1.0"},
            "server": {"minion": "backup1", "address": "backup1.example.org", "port": 2222},
            "push": {"roots": ["/etc", "/srv/with \"quotes\""]},
        },
    }


class World:
    """A minion as the modules see it. What programs are asked to do is written down, and `snapshotter host list` answers."""

    def __init__(self, mine=None, hosts=None, pillar=None, minion="backup1", test=False):
        self.mine = good_mine() if mine is None else mine
        self.hosts = good_hosts() if hosts is None else hosts
        self.server_mine = {"backup1": {"host_key": KEYS[7]}}
        self.ran, self.retcode, self.listed = [], 0, 0
        functions = {"cmd.run_all": self.run, "cmd.which": lambda name: "/usr/bin/" + name, "mine.get": self.get}
        for module, name in ((firn, "firn"), (fleet, "firn_fleet"), (keys, "firn_keys"), (push, "firn_push")):
            functions.update({f"{name}.{word}": item for word, item in vars(module).items() if callable(item)})
        for module in (firn, fleet, keys, push, state, ext):
            module.__salt__, module.__pillar__ = functions, good_pillar() if pillar is None else pillar
            module.__grains__ = {"id": minion, "host": minion, "osarch": "amd64", "os_family": "Debian"}
            module.__opts__ = {"test": test}

    def get(self, tgt, function, tgt_type=None):
        return self.mine if function == "firn_keys.push" else self.server_mine

    def run(self, words, python_shell=True, ignore_retcode=False):
        assert type(words) is list and not python_shell, "a shell"
        if words == ["snapshotter", "host", "list", "--json"]:
            report = json.dumps({"program": "snapshotter", "details": {"hosts": self.hosts}})
            return {"retcode": self.listed, "stdout": "a line for people\n" + report, "stderr": ""}
        self.ran.append(words)
        if words[:3] == ["snapshotter", "host", "add"]:
            self.added(words)
        if words[:3] == ["snapshotter", "host", "retire"]:
            [host for host in self.hosts if host["host"] == words[3]][0]["retired"] = "2026-11-21T10:00:00Z"
        return {"retcode": self.retcode, "stdout": "", "stderr": "said"}

    def added(self, words):
        said = dict(zip(words[4::2], words[5::2]))
        with open(said["--key"], encoding="ascii") as file:
            line = file.read()
        assert os.stat(said["--key"]).st_mode & 0o777 == 0o600 and line.count("\n") == 1
        host = {"host": words[3], "account": "a", "key": {"line": "restrict " + line.strip()}, "from": said["--from"].split(","),
                "hours": [int(hour) for hour in said["--hours"].split(",")], "known_as": said["--known-as"],
                "limits": self.limited(words), "appliance": "--appliance" in words, "retired": None, "history": True, "complete": True}
        self.hosts = [one for one in self.hosts if one["host"] != words[3]] + [host]


    def limited(self, words):
        """As snapshotter keeps them: what is not said again stays, and an empty value takes a limit out."""
        limits = dict(([one["limits"] for one in self.hosts if one["host"] == words[3]] or [{}])[0])
        for said in [value for word, value in zip(words[4::2], words[5::2]) if word == "--limit"]:
            key, value = said.split("=")
            limits.pop(key, None)
            if value:
                limits[key] = [int(hour) for hour in value.split(",")] if key == "push_hours" else int(value)
        return limits


def claim(**words):
    """A change of what web01 says of itself."""
    def change(world):
        world.mine["web01"].update(words)
    return change


def called(**words):
    """A host that the server calls, with something wrong."""
    host = {"address": "192.0.2.17", "host_key": KEYS[3], **words}

    def change(world):
        fleet.__pillar__["firn"]["rendezvous"] = {"server_key": KEYS[4], "hosts": {"web01": host}}
    return change


def whole(value):
    def change(world):
        world.mine["web01"] = value
    return change


def mine(value):
    def change(world):
        world.mine = value
    return change


def extra(minion, **words):
    """One more minion, new in every respect but what is said."""
    def change(world):
        world.mine[minion] = {"host": minion, "key": KEYS[5], "from": ["10.79.0.99"], **words}
    return change


def pillar(*where, to):
    def change(world):
        table = fleet.__pillar__["firn"]
        for word in where[:-1]:
            table = table.setdefault(word, {})
        table[where[-1]] = to
    return change


def both(*changes):
    def change(world):
        for one in changes:
            one(world)
    return change


def record(host, **words):
    def change(world):
        [one for one in world.hosts if one["host"] == host][0].update(words)
    return change


def without(host):
    def change(world):
        del world.mine[host]
    return change


BY_NAME = pillar("id_from", to="hostname")
LONG = "a" * (1 << 20)
MINE = {
    "a newline and a second line after the key": claim(key=KEYS[5] + "\nssh-ed25519 AAAA"),
    "a newline at the end of the key": claim(key=KEYS[5] + "\n"),
    "a carriage return in the key": claim(key=KEYS[5] + "\r"),
    "a NUL in the key": claim(key=KEYS[5] + "\0"),
    "a line separator of Unicode in the key": claim(key=KEYS[5] + "\u2028"),
    "options before the key": claim(key='command="/bin/sh" ' + KEYS[5]),
    "cert-authority before the key": claim(key="cert-authority " + KEYS[5]),
    "a comment after the key": claim(key=KEYS[5] + " root@web01"),
    "two keys on one line": claim(key=KEYS[5] + " " + KEYS[6]),
    "a tab instead of the blank": claim(key=KEYS[5].replace(" ", "\t")),
    "two blanks": claim(key=KEYS[5].replace(" ", "  ")),
    "an RSA key": claim(key=RSA),
    "an RSA key that calls itself ed25519": claim(key=KEYS[5].replace("NzaC1lZDI1NTE5", "NzaC1yc2EAAAAD")),
    "a security key": claim(key=KEYS[5].replace("ssh-ed25519", "sk-ssh-ed25519@openssh.com")),
    "a key one digit short": claim(key=KEYS[5][:-1]),
    "a key one digit long": claim(key=KEYS[5] + "A"),
    "another length inside the key": claim(key=KEYS[5].replace("AAAAI", "AAAAJ")),
    "digits that are no ASCII": claim(key=KEYS[5][:-1] + "\u0661"),
    "a key of 1 MiB": claim(key=KEYS[5] + LONG),
    "an empty key": claim(key=""),
    "a private key": claim(key="-----BEGIN OPENSSH PRIVATE KEY-----"),
    "a table where the key belongs": claim(key={"key": KEYS[5]}),
    "a list where the key belongs": claim(key=[KEYS[5]]),
    "bytes where the key belongs": claim(key=KEYS[5].encode()),
    "a number where the key belongs": claim(key=7),
    "nothing where the key belongs": claim(key=None),
    "the key of another host": claim(key=KEYS[1]),
    "another host's id": both(BY_NAME, claim(host="mail")),
    "another host's id while that is away": both(
        BY_NAME, without("mail"), claim(host="mail"), pillar("retired", to=["web01"]), record("web01", retired="2026-01-01T00:00:00Z")
    ),
    "an id that is not the minion's own": claim(host="web02"),
    "an id with a slash": both(BY_NAME, claim(host="web/01")),
    "an id that climbs": both(BY_NAME, claim(host="../../root")),
    "an id with two dots": both(BY_NAME, claim(host="a..b")),
    "an id that begins with a dot": both(BY_NAME, claim(host=".a")),
    "an id that ends in a dash": both(BY_NAME, claim(host="a-")),
    "an id like an option": both(BY_NAME, claim(host="--user-mode")),
    "an id in capitals": both(BY_NAME, claim(host="WEB01")),
    "an id in Cyrillic": both(BY_NAME, claim(host="w\u0435b01")),
    "an id with a newline": both(BY_NAME, claim(host="web01\n")),
    "an id of 65 bytes": both(BY_NAME, claim(host="a" * 65)),
    "an id of 1 MiB": both(BY_NAME, claim(host=LONG)),
    "the id `ice`, whose account is iceboxer's": both(BY_NAME, claim(host="ice")),
    "the id `read`, whose group reads the history": both(BY_NAME, claim(host="read")),
    "an empty id": both(BY_NAME, claim(host="")),
    "a list where the id belongs": both(BY_NAME, claim(host=["web01"])),
    "a template where the id belongs": both(BY_NAME, claim(host="{{ salt['cmd.run']('id') }}")),
    "an id with a shell in it": both(BY_NAME, claim(host="a;reboot")),
    "from everywhere": claim(**{"from": ["0.0.0.0/0"]}),
    "from everywhere in IPv6": claim(**{"from": ["::/0"]}),
    "from half of everywhere": claim(**{"from": ["0.0.0.0/1", "128.0.0.0/1"]}),
    "from a whole network": claim(**{"from": ["10.0.0.0/8"]}),
    "from a pattern": claim(**{"from": ["*"]}),
    "from all but one": claim(**{"from": ["!10.0.0.1"]}),
    "from with a quote that ends it": claim(**{"from": ['10.79.0.11",command="/bin/sh']}),
    "from with a comma": claim(**{"from": ["10.79.0.11,0.0.0.0/0"]}),
    "from with a zone and a quote": claim(**{"from": ['fe80::1%"']}),
    "from with a newline": claim(**{"from": ["10.79.0.11\n"]}),
    "from a name": claim(**{"from": ["web01"]}),
    "from the machine itself": claim(**{"from": ["127.0.0.1"]}),
    "from no address": claim(**{"from": ["0.0.0.0"]}),
    "from a group of machines": claim(**{"from": ["224.0.0.1"]}),
    "from an IPv4 address in IPv6": claim(**{"from": ["::ffff:10.79.0.11"]}),
    "from octal digits": claim(**{"from": ["010.079.0.011"]}),
    "from a number": claim(**{"from": [167772161]}),
    "from a text instead of a list": claim(**{"from": "10.79.0.11"}),
    "from 10,000 addresses": claim(**{"from": [f"10.{at >> 8}.{at & 255}.1" for at in range(10_000)]}),
    "from nowhere": claim(**{"from": []}),
    "from a list in a list": claim(**{"from": [[["10.79.0.11"]]]}),
    "from outside of the pillar's networks": pillar("server", "networks", to=["10.80.0.0/16"]),
    "a text instead of a claim": whole(KEYS[5]),
    "a list instead of a claim": whole([KEYS[5]] * 10_000),
    "nothing instead of a claim": whole(None),
    "a word that is missing": whole({"host": "web01", "key": KEYS[0]}),
    "a word too many": claim(command="/bin/sh"),
    "a word that is a number": both(without("web01"), lambda world: world.mine.update({"web01": {"host": "web01", "key": KEYS[0], 1: []}})),
    "hours of its own": claim(hours=[1]),
    "two minions with one id": both(BY_NAME, extra("web02", host="web01")),
    "two new minions with one key, as clones have": both(extra("web02"), extra("web03")),
    "a host that is another minion's": record("web01", known_as="old-web01"),
    "a host added by hand with another key": both(record("web01", known_as=None), claim(key=KEYS[5])),
    "a host added by hand, by a minion of another name that knows its public key": both(
        BY_NAME, record("web01", known_as=None), without("web01"), extra("web02", host="web01", key=KEYS[0], **{"from": ["10.79.0.11"]})
    ),
    "a retired id that comes back": record("web01", retired="2026-01-01T00:00:00Z"),
    "the backup server as its own host": extra("backup1"),
    "an empty Mine": mine({}),
    "a Mine that is no table": mine([]),
    "a Mine that failed": mine(False),
    "a Mine without one of the hosts": without("mail"),
    "a Mine with one host only": both(without("mail"), without("web01")),
    "a Mine of 20,000 minions": lambda world: world.mine.update({f"m{at}": None for at in range(20_000)}),
    "a minion whose name is an option": both(BY_NAME, extra("--user-mode", host="web02")),
    "a minion whose name has a newline": extra("web02\n"),
    "a minion whose name is a number": lambda world: world.mine.update({7: {}}),
}
PILLAR = {
    "hours of 25": pillar("hours", to=[25]),
    "hours below 0": pillar("hours", to=[-2]),
    "hours as texts": pillar("hours", to=["2", "10"]),
    "hours as one text": pillar("hours", to="2,10,18"),
    "hours that are yes": pillar("hours", to=[True]),
    "hours named twice": pillar("hours", to=[2, 2]),
    "no hours": pillar("hours", to=[]),
    "hours with a cron line": pillar("hours", to=["* * * * * root sh"]),
    "hours of a host that are no list": pillar("hours_of", to={"web01": 3}),
    "limits that are no table": pillar("server", "limits_of", to=["web01"]),
    "limits of a host that are no table": pillar("server", "limits_of", to={"web01": [5]}),
    "limits of what is no host id": pillar("server", "limits_of", to={"../web01": {}}),
    "a limit that nobody knows": pillar("server", "limits_of", to={"web01": {"free_bytes": 1}}),
    "a limit with another word in it": pillar("server", "limits_of", to={"web01": {"push_bytes=1 --key": 1}}),
    "a limit below 0": pillar("server", "limits_of", to={"web01": {"push_bytes": -1}}),
    "a limit that is a text": pillar("server", "limits_of", to={"web01": {"push_bytes": "1000"}}),
    "a limit that is a yes": pillar("server", "limits_of", to={"web01": {"queued_pushes": True}}),
    "a limit with a fraction": pillar("server", "limits_of", to={"web01": {"history_bytes": 1.5}}),
    "a limit that no number holds": pillar("server", "limits_of", to={"web01": {"history_bytes": 2**63}}),
    "emergencies without end": pillar("server", "limits_of", to={"web01": {"emergency_pushes": 17}}),
    "open hours of 24": pillar("server", "limits_of", to={"web01": {"push_hours": [24]}}),
    "no open hours": pillar("server", "limits_of", to={"web01": {"push_hours": []}}),
    "an unknown key": pillar("hourz", to=[2]),
    "a called host at an option": called(address="-oProxyCommand=id"),
    "a called host at a name": called(address="web01; id"),
    "a called host without a key": called(host_key=None),
    "a called host with options before its key": called(host_key="cert-authority " + KEYS[0]),
    "a called host whose port is a text": called(listen="5022 --from x"),
    "a called host with a port of root": called(listen=22),
    "a called host with a word that nobody knows": called(command="id"),
    "a caller's key with options": pillar("rendezvous", to={"server_key": "restrict " + KEYS[0]}),
    "a caller from a whole network": pillar("rendezvous", to={"server_from": "10.0.0.0/8"}),
    "a caller from two places": pillar("rendezvous", to={"server_from": "10.0.0.9 10.0.0.10"}),
    "an unknown key of the server": pillar("server", "prot", to=22),
    "a port of 0": pillar("server", "port", to=0),
    "a port that is a text": pillar("server", "port", to="2222"),
    "an address with a newline": pillar("server", "address", to="a\nport = 1"),
    "an address with a quote": pillar("server", "address", to='a"'),
    "a template in the address": pillar("server", "address", to="{{ pillar }}"),
    "a place that climbs": pillar("packages", "place", to="salt://firn/../../etc"),
    "a place of another kind": pillar("packages", "place", to="ftp://example.org"),
    "packages from a URL, without a hash": pillar("packages", "place", to="https://example.org/firn"),
    "packages from a URL without TLS": pillar("packages", "place", to="http://example.org/firn"),
    "packages from a URL in capitals": pillar("packages", "place", to="HTTPS://example.org/firn"),
    "a certificate from a URL, without a hash": pillar("ice", "files", to={"ice.asc": "https://example.org/ice.asc"}),
    "a drill's certificate from a URL, without a hash": pillar("drill", "files", to={"server.asc": "https://example.org/server.asc"}),
    "a place with a blank": pillar("packages", "place", to="salt://firn/a b"),
    "a version that climbs": pillar("packages", "version", to="../0.1.0"),
    "a version that is a number": pillar("packages", "version", to=0.1),
    "a version with a shell in it": pillar("packages", "version", to="0.1.0;reboot"),
    "a role that is none": pillar("roles", to=["root"]),
    "a role that climbs": pillar("roles", to=["../top"]),
    "the secret key on the backup server": pillar("roles", to=["backup-server", "drill-host"]),
    "a schedule that is none": pillar("schedule", to="at"),
    "ids that are one id": pillar("ids", to={"a": "web01", "b": "web01"}),
    "an id of the pillar that is none": pillar("ids", to={"web01": "Web01"}),
    "a root that is not absolute": pillar("push", "roots", to=["etc"]),
    "a root that climbs": pillar("push", "roots", to=["/etc/../root"]),
    "a root with a newline": pillar("push", "roots", to=["/etc\n"]),
    "no roots": pillar("push", "roots", to=[]),
    "settings with a header": pillar("push", "settings", to={"x]\n[server": 1}),
    "settings with an object of YAML's": pillar("push", "settings", to={"verdict_wait_seconds": object()}),
    "credentials of a drill host": pillar("drill", "credentials", to={"s3": "a secret"}),
    "grants, which the formula does not do": pillar("server", "settings", to={"grants": {"enabled": True}}),
    "accounts with another prefix": pillar("server", "settings", to={"account_prefix": "bk-"}),
    "settings with a newline": pillar("push", "settings", to={"x": "a\nb = 1"}),
    "a host key with a newline": pillar("server", "host_key", to=KEYS[7] + "\n"),
    "a retired list that is a text": pillar("retired", to="web01"),
    "firn is a list": lambda world: fleet.__pillar__.update(firn=[]),
    "firn is missing": lambda world: fleet.__pillar__.pop("firn"),
    "a minute that is a text": lambda world: fleet.__pillar__.update(backup_minute="40"),
    "a minute that is a line of cron": lambda world: fleet.__pillar__.update(backup_minute="* * * * * root"),
    "a minute that is yes": lambda world: fleet.__pillar__.update(backup_minute=True),
    "a minute of another host": lambda world: fleet.__pillar__.update(backup_minute=41),
    "no minute": lambda world: fleet.__pillar__.update(backup_minute=None),
    "the server's key from a minion that is not the server": lambda world: setattr(world, "server_mine", {"web01": {"host_key": KEYS[5]}}),
    "the server's key from two minions": lambda world: world.server_mine.update(web01={"host_key": KEYS[5]}),
    "a server's key with options": lambda world: world.server_mine.update(backup1={"host_key": "@revoked " + KEYS[7]}),
    "a server's key that is a list": lambda world: world.server_mine.update(backup1=[KEYS[7]]),
    "no key of the server in the Mine": lambda world: setattr(world, "server_mine", {}),
}


class Rendezvous(unittest.TestCase):
    def world(self, roles):
        given = good_pillar()
        hosts = {"web01": {"address": "192.0.2.17", "host_key": KEYS[3]}}
        given["firn"].update(roles=roles, rendezvous={"server_key": KEYS[4], "server_from": "192.0.2.9", "hosts": hosts})
        return World(pillar=given, minion="web01")

    def test_a_host_that_may_call_nobody_pushes_to_its_own_port_and_knows_the_same_server(self):
        self.world(["push-client"])
        usual = fleet.push(40)["settings"]
        self.world(["push-client", "rendezvous-host"])
        self.assertEqual(fleet.push(40)["settings"], usual.replace('"backup1.example.org"', '"127.0.0.1"').replace("2222", "5022"))
        self.assertEqual(fleet.rendezvous_host(), {"key": KEYS[4] + "\n", "port": "--port 5022", "from": " --from 192.0.2.9"})

    def test_the_server_calls_hosts_that_it_knows_and_takes_their_pushes_from_itself(self):
        world = self.world(["backup-server", "rendezvous-server"])
        given = fleet.rendezvous_server()
        self.assertEqual(given["known_hosts"], f"web01 {KEYS[3]}\n")
        self.assertEqual(given["files"], {"web01": "ADDRESS=192.0.2.17\nPORT=22\nLISTEN=5022\n"})
        self.assertEqual(firn.settings(fleet.__pillar__)["server"]["from"], {"web01": ["127.0.0.1"]})
        self.assertEqual(world.ran, [])

    def test_a_host_that_is_not_in_the_table_is_not_called(self):
        world = World(minion="web01")
        fleet.__pillar__["firn"]["roles"] = ["push-client", "rendezvous-host"]
        for ask in (lambda: fleet.push(40), fleet.rendezvous_host):
            with self.assertRaises(Refused):
                ask()
        self.assertEqual(world.ran, [])


class Hostile(unittest.TestCase):
    def test_hostile_words_of_minions_change_nothing(self):
        for name, change in MINE.items():
            world = World()
            change(world)
            before = copy.deepcopy(world.hosts)
            with self.subTest(name):
                done = state.hosts("firn_hosts")
                self.assertIs(done["result"], False, done)
                self.assertEqual((world.ran, done["changes"], world.hosts), ([], {}, before))
                self.assertLess(len(done["comment"]), 8_000)
                self.assertTrue(done["comment"].isprintable(), done["comment"])
        print(f"{len(MINE)} hostile Mines refused, nothing changed")

    def test_hostile_pillars_render_nothing(self):
        for name, change in PILLAR.items():
            world = World(minion="web01")
            change(world)
            with self.subTest(name), self.assertRaises(Refused):
                fleet.push(fleet.__pillar__.get("backup_minute"))
            self.assertEqual(world.ran, [])
        print(f"{len(PILLAR)} hostile pillars refused")

    def test_a_good_fleet_is_not_refused(self):
        world = World()
        done = state.hosts("firn_hosts")
        self.assertEqual((done["result"], done["changes"], world.ran), (True, {}, []), done)
        World(minion="web01")
        self.assertEqual(fleet.push(40)["hours"], "2,10,18")


class Controls(unittest.TestCase):
    def test_without_its_guard_a_case_gets_through(self):
        """Each guard is taken away in turn; what it alone holds back must then be done."""
        same = lambda value, *_: value
        none = lambda *_: []
        cases = [
            (firn, "key", same, "options before the key"),
            (firn, "key", same, "a comment after the key"),
            (firn, "address", same, "from a whole network"),
            (firn, "host_id", same, "the id `ice`, whose account is iceboxer's"),
            (firn, "id_of", lambda minion, host, found: host, "an id that is not the minion's own"),
            (firn, "minion_id", same, "a minion whose name is an option"),
            (fleet, "_twice", none, "the key of another host"),
            (fleet, "_others", none, "a host that is another minion's"),
            (fleet, "_others", none, "a retired id that comes back"),
            (fleet, "_missing", none, "an empty Mine"),
            (fleet, "_missing", none, "a Mine without one of the hosts"),
            (fleet, "_allowed", lambda host, own, found: own, "from outside of the pillar's networks"),
        ]
        for module, guard, weak, name in cases:
            strong = getattr(module, guard)
            with self.subTest(f"{guard}: {name}"):
                try:
                    setattr(module, guard, weak)
                    world = World()
                    if module is firn:
                        world.hosts = []
                    MINE[name](world)
                    done = state.hosts("firn_hosts")
                    self.assertTrue(world.ran or done["result"], done)
                finally:
                    setattr(module, guard, strong)


class Good(unittest.TestCase):
    def test_new_hosts_are_added_with_plain_arguments(self):
        world = World(hosts=[])
        done = state.hosts("firn_hosts")
        self.assertIs(done["result"], True, done)
        self.assertEqual(sorted(words[3] for words in world.ran), sorted(HOSTS))
        self.assertEqual(world.ran[-1][6:], ["--from", "10.79.0.11", "--hours", "2,10,18", "--known-as", "web01"])
        world.ran.clear()
        self.assertEqual(state.hosts("firn_hosts")["changes"], {})
        self.assertEqual(world.ran, [])

    def test_limits_are_those_of_the_pillar_for_hosts_that_it_names_and_left_alone_for_others(self):
        world = World()
        limits = {"web01": {"history_bytes": 5000, "push_hours": [23, 0], "emergency_pushes": 2}, "mail": {}}
        pillar("server", "limits_of", to=limits)(world)
        record("web01", limits={"push_bytes": 7, "emergency_pushes": 2})(world)
        record("mail", limits={"interval_seconds": 60})(world)
        record("db1.example.org", limits={"interval_seconds": 60})(world)
        done = state.hosts("firn_hosts")
        self.assertEqual((done["result"], sorted(done["changes"])), (True, ["mail", "web01"]), done)
        said = {words[3]: words[words.index("--known-as") + 2:] for words in world.ran}
        self.assertEqual(said["web01"], ["--limit", "history_bytes=5000", "--limit", "push_bytes=", "--limit", "push_hours=0,23"])
        self.assertEqual(said["mail"], ["--limit", "interval_seconds="])
        world.ran.clear()
        self.assertEqual((state.hosts("firn_hosts")["changes"], world.ran), ({}, []))
        # The control: limits that somebody changed on the server are put right.
        record("web01", limits={"push_bytes": 1 << 62})(world)
        self.assertEqual(list(state.hosts("firn_hosts")["changes"]), ["web01"])

    def test_every_limit_reaches_the_server_and_one_that_lists_none_has_none(self):
        world = World()
        wanted = {word: least for word, (least, _) in firn.LIMITS.items()} | {"push_hours": [5]}
        pillar("server", "limits_of", to={"web01": wanted})(world)
        for host in world.hosts:
            del host["limits"]
        self.assertEqual([one["limits"] for one in fleet.read_hosts(json.dumps({"details": {"hosts": world.hosts}}))], [{}] * len(HOSTS))
        for host in world.hosts:
            host["limits"] = {}
        self.assertIs(state.hosts("firn_hosts")["result"], True)
        self.assertEqual(world.ran[0].count("--limit"), len(wanted))

    def test_appliances_are_the_pillars_word_and_added_as_such(self):
        world = World()
        pillar("server", "appliances", to={"fw1": {"key": KEYS[6], "from": ["192.0.2.1"]}})(world)
        pillar("hours_of", to={"fw1": [2]})(world)
        done = state.hosts("firn_hosts")
        self.assertEqual((done["result"], list(done["changes"])), (True, ["fw1"]), done)
        self.assertEqual(world.ran[0][6:], ["--from", "192.0.2.1", "--hours", "2", "--known-as", "fw1", "--appliance"])
        world.ran.clear()
        self.assertEqual((state.hosts("firn_hosts")["changes"], world.ran), ({}, []))
        # Taken out of the pillar it is missed, until the pillar calls it retired.
        pillar("server", "appliances", to={})(world)
        self.assertIs(state.hosts("firn_hosts")["result"], False)
        pillar("retired", to=["fw1"])(world)
        self.assertEqual(state.hosts("firn_hosts")["changes"], {"fw1": "retired"})

    def test_no_minion_can_be_an_appliance_and_no_key_serves_both(self):
        for about in ({"web01": {"key": KEYS[6], "from": ["192.0.2.1"]}}, {"fw1": {"key": KEYS[0], "from": ["192.0.2.1"]}},
                      {"fw1": {"key": KEYS[6]}}, {"fw1": {"key": KEYS[6], "from": ["192.0.2.1"], "shell": "yes"}}, {"drop": {"key": KEYS[6], "from": ["192.0.2.1"]}}):
            world = World()
            pillar("server", "appliances", to=about)(world)
            done = state.hosts("firn_hosts")
            self.assertEqual((done["result"], world.ran), (False, []), about)
        # Appliances do not make up for minions that the Mine lost.
        world = World(mine={}, hosts=[])
        pillar("server", "appliances", to={"fw1": {"key": KEYS[6], "from": ["192.0.2.1"]}})(world)
        self.assertEqual((state.hosts("firn_hosts")["result"], world.ran), (False, []))

    def test_a_dry_run_only_says(self):
        world = World(hosts=[], test=True)
        done = state.hosts("firn_hosts")
        self.assertEqual((done["result"], sorted(done["changes"]), world.ran), (None, sorted(HOSTS), []))

    def test_each_difference_is_mended(self):
        changes = [claim(key=KEYS[5]), claim(**{"from": ["10.79.0.77"]}), pillar("hours_of", to={"web01": [4]}), record("web01", complete=False),
                   record("web01", known_as=None), pillar("server", "from", to={"web01": ["10.80.0.0/16"]})]
        for change in changes:
            world = World()
            change(world)
            done = state.hosts("firn_hosts")
            self.assertEqual((done["result"], list(done["changes"])), (True, ["web01"]), done)

    def test_a_retired_host_is_locked_out_and_may_then_be_gone(self):
        for left in (lambda world: None, without("mail")):
            world = World()
            both(pillar("retired", to=["mail"]), left)(world)
            done = state.hosts("firn_hosts")
            self.assertEqual((done["result"], world.ran), (True, [["snapshotter", "host", "retire", "mail"]]), done)
            self.assertEqual(state.hosts("firn_hosts")["changes"], {})

    def test_a_retirement_that_was_cut_short_is_gone_on_with(self):
        world = World()
        both(pillar("retired", to=["mail"]), record("mail", retired="2026-11-21T10:00:00Z", complete=False))(world)
        state.hosts("firn_hosts")
        self.assertEqual(world.ran, [["snapshotter", "host", "retire", "mail"]])

    def test_no_word_of_a_minion_holds_up_a_retirement(self):
        for word in (claim(host=1), without("web01"), extra("web01x\n")):
            world = World()
            both(pillar("retired", to=["mail"]), word)(world)
            done = state.hosts("firn_hosts")
            self.assertEqual((done["result"], world.ran), (False, [["snapshotter", "host", "retire", "mail"]]), done)
            self.assertEqual(done["changes"], {"mail": "retired"})

    def test_addresses_come_in_the_order_in_which_the_server_keeps_them(self):
        self.assertEqual(firn.ascending(["192.0.2.0/24", "192.0.2.0", "::1"]), ["192.0.2.0", "192.0.2.0/24", "::1"])

    def test_a_minion_that_is_ignored_stops_nobody_and_keeps_its_account(self):
        world = World()
        both(pillar("server", "ignored_minions", to=["web01"]), claim(key="junk"), extra("web02"))(world)
        done = state.hosts("firn_hosts")
        self.assertEqual((done["result"], list(done["changes"])), (True, ["web02"]), done)

    def test_addresses_outside_of_the_networks_do_not_count(self):
        world = World(hosts=[])
        both(pillar("server", "networks", to=["10.79.0.0/16"]), claim(**{"from": ["172.17.0.1", "10.79.0.11"]}))(world)
        self.assertIs(state.hosts("firn_hosts")["result"], True)
        self.assertIn("10.79.0.11", [words[7] for words in world.ran if words[3] == "web01"])

    def test_a_program_that_fails_fails_the_state(self):
        world = World(hosts=[])
        world.retcode = 4
        done = state.hosts("firn_hosts")
        self.assertEqual((done["result"], done["changes"], len(world.ran)), (False, {}, 1))

    def test_a_host_that_was_added_by_hand_is_taken_over_by_the_minion_of_its_name_only(self):
        world = World()
        record("web01", known_as=None)(world)
        self.assertIs(state.hosts("firn_hosts")["result"], True)
        self.assertEqual([words[3] for words in world.ran], ["web01"])
        # Another one is told how a person hands the host over.
        world = World()
        both(BY_NAME, record("web01", known_as=None), without("web01"), extra("m1", host="web01", key=KEYS[0]))(world)
        done = state.hosts("firn_hosts")
        self.assertEqual((done["result"], world.ran), (False, []), done)
        self.assertIn("`snapshotter host add web01 --key FILE --known-as m1`", done["comment"])

    def test_one_key_file_that_cannot_be_read_holds_up_no_other_host(self):
        world = World()
        world.listed = 3
        both(record("web01", key=None, complete=False), extra("web02"), extra("web99", key=KEYS[6]))(world)
        done = state.hosts("firn_hosts")
        # It comes last: what fails there has kept nobody from anything.
        self.assertEqual((done["result"], [words[3] for words in world.ran]), (True, ["web02", "web99", "web01"]), done)
        self.assertEqual(fleet.accounts("mail,web02"), {"mail": "mail", "web02": "web02"})

    def test_a_host_whose_record_cannot_be_read_is_neither_free_nor_retired_nor_in_the_way(self):
        unread = record("web01", **{"from": None, "hours": None, "known_as": None, "retired": None, "complete": False})
        another = both(BY_NAME, without("web01"), extra("web02", host="web01", key=KEYS[0]))
        for who in (lambda world: None, claim(key=KEYS[5]), another):
            world = World()
            world.listed = 3
            both(unread, who, extra("web03", key=KEYS[6]))(world)
            done = state.hosts("firn_hosts")
            # The others have their turn, and it fails all the same.
            self.assertEqual((done["result"], [words[3] for words in world.ran]), (False, ["web03"]), done)
            self.assertIn("web01 is left as it is", done["comment"])
            again = state.hosts("firn_hosts")
            self.assertEqual((again["result"], len(world.ran)), (False, 1), again)
            with self.assertRaisesRegex(Refused, "server: web01;"):
                fleet.accounts("web01")
        world = World()
        world.listed = 3
        both(unread, pillar("retired", to=["web01"]))(world)
        self.assertEqual(fleet.retirements(), ["web01"])
        for code in (1, 2, 4):
            world.listed = code
            self.assertRaises(Refused, fleet.hosts)

    def test_credentials_that_salt_put_there_and_the_pillar_no_longer_names_are_gone(self):
        table = good_pillar()
        table["firn"]["ice"] = {"settings": {"history": "/h"}, "credentials": {"s3": "secret"}}
        World(pillar=table)
        for lines, gone in (("# A comment.\ns3\n", []), ("# A comment.\ngs\ns3\nold\n", ["gs", "old"])):
            with tempfile.NamedTemporaryFile("w") as record:
                record.write(lines)
                record.flush()
                self.assertEqual(fleet.with_files("iceboxer", record.name)["gone"], gone)
        self.assertEqual(fleet.with_files("iceboxer", "/nonexistent/record")["gone"], [])
        for line in ("../server.toml", "", "a b", "{{ x }}"):
            with tempfile.NamedTemporaryFile("w") as record:
                record.write(line + "\n")
                record.flush()
                self.assertRaises(Refused, fleet.with_files, "iceboxer", record.name)

    def test_what_a_url_gives_is_refused_with_what_to_do(self):
        for good in ("salt://firn/packages", "/srv/packages", "salt://firn/files/ice.asc"):
            self.assertEqual(firn.place(good), good)
        for bad in ("https://example.org/firn", "http://example.org/firn", "ftp://example.org/firn"):
            with self.assertRaisesRegex(Refused, "checked against no hash; put it on the master's file server"):
                firn.place(bad)

    def test_minions_without_an_account_are_named(self):
        World()
        self.assertEqual(fleet.accounts("web01,mail"), {"web01": "web01", "mail": "mail"})
        for change in (record("mail", complete=False), record("mail", retired="2026-11-21T10:00:00Z"), record("mail", known_as=None)):
            change(World())
            with self.assertRaisesRegex(Refused, "server: mail; `salt-call firn_keys.push` .*mine_functions in its pillar"):
                fleet.accounts("web01,mail")
        with self.assertRaisesRegex(Refused, "server: web02, web03;"):
            fleet.accounts("web02,web01,web03")
        for bad in ("", ",", "web01,", "a b", ["web01"], None):
            self.assertRaises(Refused, fleet.accounts, bad)

    def test_commands_are_tables_of_the_settings_and_open_the_unit(self):
        World(minion="web01")
        self.assertIs(fleet.push(40)["commands"], False)
        commands = {"dump": [{"command": ["pg_dumpall"], "user": "postgres", "path": "/var/backups/db.sql"}], "after": [{"command": ["true"]}]}
        fleet.__pillar__["firn"]["push"]["settings"] = commands
        found = fleet.push(40)
        self.assertIs(found["commands"], True)
        self.assertIn('[[dump]]\ncommand = ["pg_dumpall"]\nuser = "postgres"\npath = "/var/backups/db.sql"\n', found["settings"])
        self.assertIn('[[after]]\ncommand = ["true"]\n', found["settings"])

    def test_the_settings_are_escaped(self):
        World(minion="web01")
        text = fleet.push(40)["settings"]
        self.assertIn('roots = ["/etc", "/srv/with \\"quotes\\""]', text)
        self.assertIn(f'[server]\naddress = "backup1.example.org"\nport = 2222\nkey = "/etc/firn/push_ed25519"\nhost_key = "{KEYS[7]}"\n', text)

    def test_sshd_is_told_what_its_version_knows(self):
        for version, lines in (("OpenSSH_8.7p1", 0), ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15", 2), ("OpenSSH_10.0p2", 3)):
            self.assertEqual(fleet.sshd_lines(version).count("\n"), lines, version)
        for version in ("", None, "OpenSSH_x", "OpenSSH_9", 7):
            self.assertRaises(Refused, fleet.sshd_lines, version)


class Minutes(unittest.TestCase):
    def test_golden_hosts_have_their_minutes_on_both_sides(self):
        for host, minute in (("web01", 40), ("db1.example.org", 56)):
            self.assertEqual((firn.minute(host), ext.minute(host)), (minute, minute))
            self.assertEqual(ext.ext_pillar(host, {}), {"backup_minute": minute})

    def test_the_name_is_the_host_id_wherever_it_comes_from(self):
        for table, minion, hostname, name in (
            ({}, "web01", "other", "web01"),
            ({"id_from": "hostname"}, "minion-7", "web01", "web01"),
            ({"id_from": "hostname", "ids": {"minion-7": "db1.example.org"}}, "minion-7", "x", "db1.example.org"),
        ):
            found = firn.settings({"firn": table})
            self.assertEqual(firn.id_of(minion, hostname, found), name)
            World()
            ext.__grains__ = {"host": hostname}
            self.assertEqual(ext.ext_pillar(minion, {"firn": table}), {"backup_minute": firn.minute(name)})

    def test_what_is_no_host_id_gets_no_minute(self):
        for bad in ("Web01", "a..b", "", "a" * 64, "ice", "a\n", None, 7, ["web01"], {}):
            self.assertIsNone(ext.minute(bad), bad)
            self.assertRaises(Refused, firn.minute, bad)
            ext.__grains__ = {"host": bad}
            self.assertEqual(ext.ext_pillar("m", {"firn": {"id_from": "hostname"}}), {})
        for bad in (None, [], {"firn": 7}, {"firn": {"ids": 7}}):
            self.assertEqual(ext.ext_pillar("web01", bad), {"backup_minute": 40})


if __name__ == "__main__":
    unittest.main()
