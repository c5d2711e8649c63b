"""
Changes of keys, cut off at every step: real files, the real ssh-keygen, and a process that ends at once at the step in question, as a kill ends it.

The steps are counted, not chosen: each call that changes a file or tells another machine is one. After each cut the next ordinary highstates of host and
server, in either order, must end with a host that can push; so must they if the first of them is cut off, too.
"""

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_firn

keys, state, firn, fleet = test_firn.keys, test_firn.state, test_firn.firn, test_firn.fleet
FAST = "/dev/shm" if os.path.isdir("/dev/shm") else None
PUBLISHED = keys._published
# What changes a file's name. A step is taken wholly or not at all.
CALLS = ("link", "replace", "unlink")


class Machines:
    """A host and a server on disk: the host's folder, the Mine, and what the server lets in. Nothing of them is in memory, so a process may end."""

    @staticmethod
    def folder():
        made = tempfile.mkdtemp(dir=FAST)
        # Not in the processes that are cut: they end at once, and this one still needs it.
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        return made

    def __init__(self, which):
        self.which = which
        self.top = self.folder()
        self.own = os.path.join(self.top, "key")
        self.step, self.cut = 0, None
        self.install()
        self.host()
        self.server()
        self.host()

    def install(self):
        keys.PUSH = keys.SERVER = self.own
        keys.SETTINGS = os.path.join(self.top, "push.toml")
        with open(keys.SETTINGS, "w", encoding="utf-8") as file:
            file.write(f'key = "{self.own}"\n')
        keys.os = Counted(self)
        functions = {f"firn_keys.{name}": item for name, item in vars(keys).items() if callable(item)}
        functions.update({"cmd.run_all": self.run, "mine.update": self.update, "mine.get": lambda *_, **__: {"m": self.read("mine")}})
        functions.update({"firn.key": firn.key, "firn.settings": firn.settings, "firn_fleet.pinned": fleet.pinned})
        for module in (keys, state, firn, fleet):
            module.__salt__, module.__opts__, module.__grains__, module.__pillar__ = functions, {"test": False}, {"id": "m"}, {"firn": {}}

    def count(self):
        if self.cut == self.step:
            os._exit(9)
        self.step += 1

    def read(self, name):
        try:
            with open(os.path.join(self.top, name), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def write(self, name, value):
        self.count()
        with open(os.path.join(self.top, name + ".tmp"), "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.rename(os.path.join(self.top, name + ".tmp"), os.path.join(self.top, name))

    def update(self):
        self.write("mine", {"host_key": keys._published(self.own, 0o400)})
        return True

    def run(self, words, python_shell=True, ignore_retcode=False):
        if words[0] == "push-client":
            with open(words[2], encoding="utf-8") as file:
                private = file.read().split('"')[1]
            # What ends with 19 is the same whether the key is not let in or nobody answers.
            return {"retcode": 0 if self.read("lets_in") == self.public(private) else 19, "stdout": "", "stderr": ""}
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return {"retcode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def public(self, private):
        return " ".join(subprocess.check_output(["ssh-keygen", "-y", "-P", "", "-f", private], text=True).split()[:2])

    # The highstates, as far as keys go. `published` of a server is the state's own.
    def host(self):
        if self.which == "server":
            self.write("lets_in", self.read("mine").get("host_key"))
            return True
        keys.make()
        keys.tell()
        return state.settled("firn_key_change")["result"]

    def server(self):
        if self.which == "push":
            self.write("lets_in", self.read("mine").get("host_key"))
            return True
        keys._make(self.own, 0o400)
        settled = state.server_settled("firn_server_key_change")["result"]
        return settled and state.published("firn_keys.server")["result"]

    def begun(self):
        keys.begin(self.which)
        self.update()

    def rotation(self):
        """As firn.orch.rotate and salt/README.md have them: for a server, hosts pin in the middle."""
        self.begun()
        self.server() if self.which == "push" else self.host()
        keys.finish(self.which)

    def cancelled(self):
        self.begun()
        keys.cancel(self.which)

    def cancelled_late(self):
        self.begun()
        self.server() if self.which == "push" else self.host()
        keys.cancel(self.which)

    def killed(self, work, cut):
        """Does `work` in a process of its own, which ends before step `cut`. Whether it got so far."""
        child = os.fork()
        if child == 0:
            try:
                self.step, self.cut = 0, cut
                work()
                os._exit(0)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, 9), code
        return code == 9

    def copy(self):
        self.saved = self.folder()
        shutil.copytree(self.top, os.path.join(self.saved, "top"))

    def back(self):
        shutil.rmtree(self.top)
        shutil.copytree(os.path.join(self.saved, "top"), self.top)

    def ends(self, order):
        """Highstates in this order; then who is to be let in is, nothing is left over, and another round changes nothing."""
        results = [getattr(self, machine)() for machine in order]
        left = sorted(name for name in os.listdir(self.top) if not name.startswith(".new-") and not name.endswith(".tmp"))
        before = [self.read("mine"), self.read("lets_in"), os.stat(self.own).st_ino]
        let_in = self.read("lets_in") == self.public(self.own)
        again = [getattr(self, machine)() for machine in order]
        with open(self.own + ".pub", encoding="utf-8") as file:
            beside = file.read()
        return {
            "results": results + again == [True] * 4,
            "let in": let_in,
            "beside": beside == self.public(self.own) + "\n",
            "left": left == ["key", "key.pub", "lets_in", "mine", "push.toml"],
            "same": before == [self.read("mine"), self.read("lets_in"), os.stat(self.own).st_ino],
        }


class Counted:
    """The module `os`, whose calls that change names are steps."""

    def __init__(self, machines):
        self.machines = machines

    def __getattr__(self, name):
        if name in CALLS:
            self.machines.count()
        return getattr(os, name)


ORDERS = (("host", "server"), ("server", "host"))


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("ssh-keygen"), "needs root and ssh-keygen")
class CutOff(unittest.TestCase):
    def tearDown(self):
        keys.os, keys.PUSH, keys.SERVER, keys.SETTINGS = os, "/etc/firn/push_ed25519", "/etc/firn/ssh_host_ed25519_key", "/etc/firn/push.toml"

    def cuts(self, which, works):
        count = 0
        for work in works:
            cut = 0
            while True:
                machines = Machines(which)
                reached = machines.killed(getattr(machines, work), cut)
                machines.copy()
                for order in ORDERS:
                    machines.back()
                    found = machines.ends(order)
                    self.assertTrue(all(found.values()), f"{work} cut before step {cut}, then {order}: {found}")
                    again = 0
                    machines.back()
                    while machines.killed(getattr(machines, order[0]), again):
                        found = machines.ends(order)
                        self.assertTrue(all(found.values()), f"{work} cut before step {cut}, {order[0]} before {again}, then {order}: {found}")
                        again += 1
                        count += 1
                        machines.back()
                count += 1
                shutil.rmtree(machines.top)
                shutil.rmtree(machines.saved)
                if not reached:
                    break
                cut += 1
            self.assertGreater(cut, 3, work)
        return count

    def test_a_change_of_a_hosts_key_that_is_cut_off_anywhere_ends_with_a_host_that_can_push(self):
        print(f"{self.cuts('push', ('rotation', 'cancelled', 'cancelled_late'))} cuts of a change of a host's key come to a good end")

    def test_a_change_of_the_servers_key_that_is_cut_off_anywhere_ends_with_a_host_that_can_push(self):
        print(f"{self.cuts('server', ('rotation', 'cancelled', 'cancelled_late'))} cuts of a change of the server's key come to a good end")

    def test_without_the_states_a_cut_locks_the_host_out(self):
        """The positive control: the states that bring a change to its end do nothing."""
        for which, name in (("push", "settled"), ("server", "server_settled")):
            true = getattr(state, name)
            try:
                setattr(state, name, lambda _: {"result": True})
                with self.assertRaises(AssertionError):
                    self.cuts(which, ("rotation",))
            finally:
                setattr(state, name, true)

    def test_without_an_answer_both_keys_stay(self):
        machines = Machines("push")
        machines.begun()
        machines.write("lets_in", None)
        both = lambda: [machines.public(machines.own + suffix) for suffix in ("", ".next")]
        before = both()
        done = state.settled("firn_key_change")
        self.assertEqual((done["result"], done["changes"], both()), (False, {}, before), done)
        # And nothing is said to be finished that is not.
        self.assertRaises(test_firn.Refused, keys.finish)
        keys.cancel()
        self.assertRaises(test_firn.Refused, keys.finish)

    def test_the_servers_key_that_the_pillar_has_hosts_pin_stays_whatever_the_mine_tells(self):
        for work in ("begun", "cancelled"):
            for chosen in ("", ".next"):
                machines = Machines("server")
                machines.begun()
                both = [machines.public(machines.own + which) for which in ("", ".next")]
                # Of both keys, the pillar has one and the Mine tells of the other.
                pinned, told = both if chosen == "" else reversed(both)
                if work == "cancelled":
                    os.rename(machines.own + ".next", machines.own + ".given-up")
                fleet.__pillar__ = {"firn": {"server": {"host_key": pinned}}}
                machines.write("mine", {"host_key": told})
                done = state.server_settled("firn_server_key_change")
                self.assertEqual((done["result"], machines.public(machines.own)), (True, pinned), (work, chosen, done))
                self.assertEqual(keys.unsettled("server"), [])

    def test_both_keys_of_the_server_stay_if_nobody_tells_which_one_hosts_pin(self):
        third = test_firn.KEYS[5]
        for pillar, mine in (({}, {}), ({}, {"host_key": third}), ({}, {"host_key": None}), ({"host_key": third}, None), ({"host_key": "junk"}, None)):
            for suffix in (".next", ".given-up"):
                machines = Machines("server")
                machines.begun()
                if mine is not None:
                    machines.write("mine", mine)
                os.rename(machines.own + ".next", machines.own + suffix)
                fleet.__pillar__ = {"firn": {"server": pillar}}
                both = lambda: [machines.public(machines.own + which) for which in ("", suffix)]
                before = both()
                done = state.server_settled("firn_server_key_change")
                self.assertEqual((done["result"], done["changes"], both()), (False, {}, before), (pillar, mine, done))
        # The way back names the state that settles it.
        self.assertRaisesRegex(test_firn.Refused, "apply firn.backup-server first", keys.begin, "server")

    def test_a_mine_that_is_sent_nothing_fails_and_all_keys_stay(self):
        for answer in (None, False):
            machines = Machines("push")
            machines.begun()
            machines.write("lets_in", machines.read("mine")["host_key"])
            before = [machines.public(machines.own + which) for which in ("", ".next")]
            keys.__salt__["mine.update"] = lambda answer=answer: answer
            done = state.settled("firn_key_change")
            self.assertIs(done["result"], False, done)
            self.assertIn("mine_functions", done["comment"])
            self.assertEqual([machines.public(machines.own + which) for which in ("", ".next")], before)
            with self.assertRaisesRegex(test_firn.Refused, "mine_functions"):
                keys.cancel()
            self.assertEqual([machines.public(machines.own + which) for which in ("", ".given-up")], before)

    def test_a_dry_run_of_the_key_changes_nothing_on_disk(self):
        machines = Machines("push")
        table = test_firn.good_pillar()
        table["firn"]["push"]["from"] = ["10.79.0.11"]
        keys.__pillar__, keys.__grains__ = table, {"id": "web01"}
        keys.__salt__["firn.id_of"] = firn.id_of
        os.mkdir(os.path.join(machines.top, ".new-a"))
        os.utime(os.path.join(machines.top, ".new-a"), (0, 0))
        for name in (".pub", ".next.pub"):
            with open(machines.own + name, "w", encoding="utf-8") as file:
                file.write("another's\n")
        names = lambda: sorted((name, os.lstat(os.path.join(machines.top, name)).st_mtime_ns) for name in os.listdir(machines.top))
        before = names()
        state.__opts__ = {"test": True}
        done = state.key(machines.own)
        self.assertEqual((done["result"], done["changes"], names()), (True, {}, before), done)
        os.chmod(machines.own, 0o644)
        self.assertIs(state.key(machines.own)["result"], False)
        os.chmod(machines.own, 0o400)
        # In earnest all of it is put right.
        state.__opts__ = {"test": False}
        self.assertIs(state.key(machines.own)["result"], True)
        self.assertEqual(sorted(name for name, _ in names()), ["key", "key.pub", "lets_in", "mine", "push.toml"])
        with open(machines.own + ".pub", encoding="utf-8") as file:
            self.assertEqual(file.read(), machines.public(machines.own) + "\n")

    def test_what_a_killed_call_left_goes_after_a_day(self):
        machines = Machines("push")
        for name in (".new-a", ".new-b"):
            os.mkdir(os.path.join(machines.top, name))
        os.utime(os.path.join(machines.top, ".new-a"), (0, 0))
        keys.make()
        self.assertEqual(sorted(name for name in os.listdir(machines.top) if name.startswith(".new-")), [".new-b"])


class Addresses(unittest.TestCase):
    def push(self, **server):
        table = test_firn.good_pillar()
        table["firn"]["server"].update(server)
        test_firn.World(pillar=table, minion="web01")
        keys._published = lambda *_: test_firn.KEYS[0]
        try:
            return keys.push()["from"]
        finally:
            keys._published = PUBLISHED

    def test_only_the_way_to_the_server_is_told_and_nothing_is_sent(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)
            true, firn.address = firn.address, lambda value, *_: value
            try:
                # The kernel's own answer, though this machine has more addresses than that.
                self.assertEqual(self.push(address="127.0.0.1", port=server.getsockname()[1]), ["127.0.0.1"])
            finally:
                firn.address = true
            self.assertRaises(BlockingIOError, server.recv, 1)

    def test_an_address_that_no_server_would_take_is_not_told(self):
        for address in ("127.0.0.1", "no-such-name.invalid"):
            self.assertRaises(test_firn.Refused, self.push, address=address)

    def test_a_temporary_address_is_refused_unless_the_server_knows_better(self):
        lines = "20010db8000000000000000000000017 02 40 00 01     eth0\n20010db8000000000000000000000018 02 40 00 80     eth0\n"
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(lines)
            file.flush()
            self.assertEqual(keys.temporary(file.name), ["2001:db8::17"])
        true = keys.towards, keys.temporary
        keys.towards, keys.temporary = lambda *_: ["2001:db8::17"], lambda: ["2001:db8::17"]
        try:
            self.assertRaises(test_firn.Refused, self.push)
            self.assertEqual(self.push(**{"from": {"web01": ["2001:db8::/64"]}}), ["2001:db8::17"])
            keys.temporary = lambda: []
            self.assertEqual(self.push(), ["2001:db8::17"])
        finally:
            keys.towards, keys.temporary = true


if __name__ == "__main__":
    unittest.main()
