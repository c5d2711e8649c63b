"""
Further settings of pushes, as a pillar may have them, and what Salt and push-client say of each: the one list that the tests of both read.

`test_push_settings.py` gives them to Salt. A test of crate push-client runs this file, which prints what Salt says and what would be written if it said
nothing, and gives that to the program: what one of them refuses the other must, but for what is told here.
"""

import copy
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_firn

# Where the client's words stand: it takes what Salt refuses; the formula has no form in which to write it.
TAKEN, NO_FORM = "taken", "no form"

EVERYTHING = {
    "root": [{"path": "/home", "read_at": "/run/firn/home"}, {"path": "/", "read_at": "/run/firn/all/"}],
    "rules": ["+ /srv/*/keep/**", "- *.o", "- cache/", "- **/[!a-c\\]]?", "- [a-z-]\\x41\\*", "- []-]"],
    "exclude_caches": True,
    "exclude_if_present": [".nobackup", "a" * 255],
    "one_file_system": False,
    "trusted_attributes": True,
    "rehash_days": 0,
    "verdict_wait_seconds": 4294967295,
    "compression_level": -7,
    "nice": 19,
    "before": [
        {"command": ["/usr/local/sbin/quiesce", "--on", ""], "user": "postgres", "timeout_seconds": 2678400},
        {"command": ["/bin/sh", "-c", 'test ! -e "/x" || rm \'/x\'; printf "\\n"']},
    ],
    "dump": [
        {"command": ["pg_dumpall"], "user": "postgres", "path": "/var/backups/db.sql", "mode": "0640", "timeout_seconds": 1, "least_bytes": 0},
        {"command": ["mysqldump"] + ["--all"] * 255, "path": "/etc/dumps/mysql.sql/", "mode": "777", "least_bytes": 2**63 - 1},
    ],
    "after": [{"command": ["true"]}] * 32,
    "server": {
        "account": "web01",
        "transport": "ssh",
        "ssh": {"program": "/usr/bin/ssh", "config": "/etc/firn/ssh_config", "agent": "/run/a,b:c", "paths": ["/usr/lib/x_y+z@w"]},
        "ciphers": ["aes128-gcm@openssh.com", "aes128-ctr"],
        "connect_seconds": 1,
        "idle_seconds": 600,
        "session_seconds": 2678400,
        "keepalive_seconds": 0,
        "bandwidth_limit": "2MiB/s",
    },
}

GOOD = {
    "nothing": {},
    "everything": EVERYTHING,
    "empty lists": {word: [] for word in ("root", "rules", "exclude_if_present", "before", "dump", "after")},
    "the other way to push": {"server": {"transport": "ssh2", "keepalive_seconds": 2, "bandwidth_limit": "16384 B/s", "account": "a b"}},
    "a dump below a root, and two side by side": {
        "dump": [{"command": ["a"], "path": "/etc/x"}, {"command": ["a"], "path": "/etc/xy"}, {"command": ["a"], "path": "/..."}]
    },
}


def before(**words):
    return {"before": [{"command": ["true"]}, {"command": ["true"], **words}]}


def after(**words):
    return {"after": [{"command": ["true"], **words}]}


def dump(**words):
    return {"dump": [{"command": ["pg_dumpall"], "path": "/var/backups/db.sql", **words}]}


def dumps(*paths):
    return {"dump": [{"command": ["true"], "path": path} for path in paths]}


def root(**words):
    return {"root": [{"path": "/home", "read_at": "/run/firn/home", **words}]}


def server(**words):
    return {"server": words}


def ssh(**words):
    return {"server": {"transport": "ssh", "ssh": words}}


def rule(text):
    return {"rules": [text]}


PROGRAM = "must begin with a program's name or absolute path"
SECONDS = "must be 1 to 2678400"
ANOTHER = "must not be, or lie below, that of another dump"
IN_THE_WAY = "must not be, or lie above, a root or that of another dump"
# The settings; what Salt says behind the name of minion and host; what push-client says.
HOSTILE = {
    # Commands.
    "a command with a typo in a key": (before(timeout_second=3), "before:2: 'timeout_second' is no key there; write one of command, user, timeout_seconds", "unknown key `timeout_second`"),
    "a command with a key of dumps": (after(path="/x"), "after:1: 'path' is no key there", "unknown key `path`"),
    "a dump with a key of roots": (dump(read_at="/x"), "dump:1: 'read_at' is no key there", "unknown key `read_at`"),
    "a shell that is asked for by a key": (before(shell=True), "before:2: 'shell' is no key there", "unknown key `shell`"),
    "no command": ({"before": [{"user": "root"}]}, r"before:1: command is missing; write command: \[program", "missing key `command`"),
    "a dump without a path": ({"dump": [{"command": ["true"]}]}, "dump:1: path is missing; write path: /an/absolute/path", "missing key `path`"),
    "a command that is a text": (before(command="systemctl stop db"), r"before:2:command: 'systemctl stop db' is no list; write a list of words", "invalid type: string"),
    "a command without words": (after(command=[]), "after:1:command: there is no program; write a list of words", "`after.command` must be a list of words"),
    "a program without a name": (dump(command=["", "x"]), "dump:1:command: there is no program", "`dump.command` must be a list of words"),
    "a program by a relative path": (before(command=["./quiesce"]), "before:2:command: './quiesce' is relative; write the program's name alone or its absolute path", PROGRAM),
    "a program that climbs": (dump(command=["../sbin/dump"]), "dump:1:command: '../sbin/dump' is relative", PROGRAM),
    "a program in a folder without a root": (after(command=["sbin/x"]), "after:1:command: 'sbin/x' is relative", PROGRAM),
    "a word that YAML takes for a yes": (before(command=[True]), "before:2:command: a bool is no text; write .*in quotes", "invalid type: boolean"),
    "a word that is a number": (dump(command=["head", 3]), "dump:1:command: a int is no text; write .*in quotes", "invalid type: integer"),
    "a list among the words": (before(command=["sh", ["-c"]]), "before:2:command: a list is no text", NO_FORM),
    "a script of two lines": (before(command=["/bin/sh", "-c", "a\nb"]), "before:2:command: 'a.*visible characters; write .*scripts belong into a file", NO_FORM),
    "a word with a NUL": (before(command=["true", "\0"]), "before:2:command: .*visible characters", NO_FORM),
    "a word that turns the line round": (before(command=["true", "\u202e"]), "before:2:command: .*visible characters", NO_FORM),
    "a word of 4,097 characters": (before(command=["true", "a" * 4097]), "before:2:command: .*1 to 4096 visible characters", NO_FORM),
    "257 words": (after(command=["true"] * 257), "after:1:command: 257 are too many; write at most 256", "`after.command` must be at most 256 words"),
    "33 commands": ({"before": [{"command": ["true"]}] * 33}, "before: 33 are too many; write at most 32", "`before` must be at most 32"),
    "33 dumps": (dumps(*[f"/d/{at}" for at in range(33)]), "dump: 33 are too many; write at most 32", "`dump` must be at most 32"),
    "commands that are one table": ({"after": {"command": ["true"]}}, "after: a dict is no list; write a list of tables", "invalid type: map"),
    "a command that is a list": ({"after": [["true"]]}, "after:1: a list is no table; write keys and values", NO_FORM),
    "commands that are a text": ({"before": "true"}, "before: 'true' is no list; write a list of tables", "invalid type: string"),
    "a key without a value": (before(user=None), "before:2:user: there is no value; write one, or leave the key out", NO_FORM),
    "no account": (dump(user=""), "dump:1:user: '' is no name of an account", "`dump.user` must be the name"),
    "an account with a line of passwd": (before(user="a:x:0"), "before:2:user: 'a:x:0' is no name of an account", "`before.user` must be the name"),
    "an account of two lines": (before(user="a\nb"), "before:2:user: .*visible characters", NO_FORM),
    "an account by its number": (after(user=0), "after:1:user: a int is no text; write the name of an account", "invalid type: integer"),
    "no time": (before(timeout_seconds=0), "before:2:timeout_seconds: 0 is no number from 1 to 2678400; write one", "`before.timeout_seconds` " + SECONDS),
    "time below nothing": (after(timeout_seconds=-1), "after:1:timeout_seconds: -1 is no number", "invalid value: integer `-1`"),
    "more time than a month": (dump(timeout_seconds=2678401), "dump:1:timeout_seconds: 2678401 is no number", "`dump.timeout_seconds` " + SECONDS),
    "time in quotes": (before(timeout_seconds="300"), "before:2:timeout_seconds: '300' is no number .*without quotes", "invalid type: string"),
    "time that is a yes": (before(timeout_seconds=True), "before:2:timeout_seconds: a bool is no number", "invalid type: boolean"),
    "time with a fraction": (before(timeout_seconds=1.5), "before:2:timeout_seconds: a float is no number", NO_FORM),
    # Dumps.
    "a dump at a relative path": (dump(path="backups/db.sql"), "dump:1:path: 'backups/db.sql' is no path .*; write an absolute path such as", "`dump.path` must be absolute"),
    "a dump at a path that climbs": (dump(path="/var/../etc/shadow"), r"dump:1:path: '/var/\.\./etc/shadow' is no path", "`dump.path` holds"),
    "a dump at a path with a dot": (dump(path="/var/./db"), r"dump:1:path: '/var/\./db' is no path", "`dump.path` holds"),
    "a dump at a path with two slashes": (dump(path="/var//db"), "dump:1:path: '/var//db' is no path", "`dump.path` holds"),
    "a dump at a path that ends in two slashes": (dump(path="/var/db//"), "dump:1:path: '/var/db//' is no path", "`dump.path` holds"),
    "a dump at the root of all": (dump(path="/"), "dump:1:path: '/' is the whole host", "`dump.path` must be the absolute path of a file"),
    "a dump without a name": (dump(path=""), "dump:1:path: '' is no path", "`dump.path` must be absolute"),
    "a dump with a name of 256 bytes": (dump(path="/" + "\u00e4" * 128), "dump:1:path: .* is no path", "`dump.path` holds"),
    "two dumps in one place": (dumps("/d/a", "/d/b", "/d/a"), "dump:3:path: '/d/a' is, or lies above or below, the path of dump 1; write another path", ANOTHER),
    "two dumps in one place, one with a slash": (dumps("/d/a", "/d/a/"), "dump:2:path: '/d/a/' is, or lies above or below, the path of dump 1", ANOTHER),
    "a dump below a dump": (dumps("/d", "/d/e"), "dump:2:path: '/d/e' is, or lies above or below, the path of dump 1", ANOTHER),
    "a dump above a dump": (dumps("/d/e", "/d"), "dump:2:path: '/d' is, or lies above or below, the path of dump 1", IN_THE_WAY),
    "a dump in the place of a root": (dump(path="/etc"), "dump:1:path: '/etc' is, or lies above, a root; write a path below a root", IN_THE_WAY),
    "a dump above a root": (dump(path="/srv"), "dump:1:path: '/srv' is, or lies above, a root", IN_THE_WAY),
    "a dump in the place of a snapshot": ({**root(), **dump(path="/home")}, "dump:1:path: '/home' is, or lies above, a root", IN_THE_WAY),
    "a mode that YAML takes for a number": (dump(mode=0o640), "dump:1:mode: a int is no text; write permission bits in quotes such as '0640'", "invalid type: integer"),
    "a mode in words": (dump(mode="rw"), "dump:1:mode: 'rw' is no mode; write permission bits", "`dump.mode` must be"),
    "a mode with more than permission": (dump(mode="4755"), "dump:1:mode: '4755' is no mode", "`dump.mode` must be"),
    "a mode with an 8": (dump(mode="0680"), "dump:1:mode: '0680' is no mode", "`dump.mode` must be"),
    "no mode": (dump(mode=""), "dump:1:mode: '' is no mode", "`dump.mode` must be"),
    "a mode with a sign": (dump(mode="+640"), r"dump:1:mode: '\+640' is no mode", TAKEN),
    "fewer bytes than none": (dump(least_bytes=-1), "dump:1:least_bytes: -1 is no number", "invalid value: integer `-1`"),
    "more bytes than a number holds": (dump(least_bytes=2**63), "dump:1:least_bytes: 9223372036854775808 is no number", NO_FORM),
    "bytes with a unit": (dump(least_bytes="1MiB"), "dump:1:least_bytes: '1MiB' is no number", "invalid type: string"),
    # Snapshots.
    "a snapshot that is not said where": ({"root": [{"path": "/home"}]}, "root:1: read_at is missing; write read_at: /where/the/snapshot/is", "missing key `read_at`"),
    "a snapshot of nothing": ({"root": [{"read_at": "/run/x"}]}, "root:1: path is missing; write path", "missing key `path`"),
    "a snapshot with a typo": (root(read_it="/x"), "root:1: 'read_it' is no key there; write one of path, read_at", "unknown key `read_it`"),
    "a snapshot at a relative path": (root(read_at="run/x"), "root:1:read_at: 'run/x' is no path", "`root.read_at` must be absolute"),
    "a snapshot that climbs": (root(read_at="/run/../root"), r"root:1:read_at: '/run/\.\./root' is no path", "`root.read_at` holds"),
    "a snapshot that is the whole host": (root(read_at="/"), "root:1:read_at: '/' is the whole host", "`root.read_at` must be a folder below /"),
    "the root of a snapshot that climbs": (root(path="/srv/.."), r"root:1:path: '/srv/\.\.' is no path", "`root.path` holds"),
    "the root of a snapshot that is relative": (root(path="home"), "root:1:path: 'home' is no path", "`root.path` must be absolute"),
    # All the rest.
    "a key that nobody knows": ({"rehash_day": 3}, ": 'rehash_day' is no key there; write one of root, rules", "unknown key `rehash_day`"),
    "a state of its own": ({"state": "/tmp"}, "state is the formula's own; leave it out", TAKEN),
    "roots beside the roots": ({"roots": ["/"]}, "roots is the formula's own; leave it out and write firn:push:roots", TAKEN),
    "another host's name": ({"host": "mail"}, "host is the formula's own; leave it out and write firn:ids", TAKEN),
    "another server": (server(address="192.0.2.1"), "server: address is the formula's own; leave it out and write firn:server:address", TAKEN),
    "another host key": (server(host_key="x"), "server: host_key is the formula's own", TAKEN),
    "a server that is a text": ({"server": "backup"}, "server: 'backup' is no table; write keys and values", NO_FORM),
    "a key of the server that nobody knows": (server(keep_alive=3), "server: 'keep_alive' is no key there; write one of account", "unknown key `keep_alive`"),
    "no account on the server": (server(account=""), "server:account: '' is empty", "`server.account` is empty"),
    "a transport that is none": (server(transport="rsh"), "server:transport: 'rsh' is none; write ssh2 or ssh", "unknown variant `rsh`"),
    "ssh without its transport": (server(ssh={}), "server:ssh: is of use with another transport only; write transport: ssh", "`server.ssh` is of use"),
    "an ssh that is not absolute": (ssh(program="ssh"), "server:ssh:program: 'ssh' is no such path", "`server.ssh.program` must be an absolute path"),
    "an ssh with a blank": (ssh(config="/etc/ssh config"), "server:ssh:config: '/etc/ssh config' is no such path", "`server.ssh.config` must be"),
    "an agent that ssh would expand": (ssh(agent="/run/%i"), "server:ssh:agent: '/run/%i' is no such path", "`server.ssh.agent` must be"),
    "a path of ssh that is none": (ssh(paths=["/usr", "~"]), "server:ssh:paths: '~' is no such path", "`server.ssh.paths` must be"),
    "a key of ssh that nobody knows": (ssh(options="x"), "server:ssh: 'options' is no key there", "unknown key `options`"),
    "an account that is an option of ssh": ({"server": {"transport": "ssh", "account": "-oProxyCommand=id"}}, "server:account: '-oProxyCommand=id' means more", "`server.account` must be"),
    "no ciphers": (server(ciphers=[]), "server:ciphers: there is none", "`server.ciphers` must be names"),
    "a cipher with a blank": (server(ciphers=["a b"]), "server:ciphers: 'a b' is no name", "`server.ciphers` must be names"),
    "no time to connect": (server(connect_seconds=0), "server:connect_seconds: 0 is no number", "`server.connect_seconds` " + SECONDS),
    "an idle server for ever": (server(idle_seconds=2678401), "server:idle_seconds: 2678401 is no number", "`server.idle_seconds` " + SECONDS),
    "a session without time": (server(session_seconds=0), "server:session_seconds: 0 is no number", "`server.session_seconds` " + SECONDS),
    "a question each second": (server(keepalive_seconds=1), r"server:keepalive_seconds \(0, or seconds\): 1 is no number from 2 to 3600", "`server.keepalive_seconds` must be"),
    "a rate in another unit": (server(bandwidth_limit="2 MB/s"), "server:bandwidth_limit: '2 MB/s' is no rate; write a rate such as 2MiB/s", "`server.bandwidth_limit` must be as"),
    "a rate that no push ends at": (server(bandwidth_limit="15KiB/s"), "server:bandwidth_limit: '15KiB/s' is no rate", "`server.bandwidth_limit` must be as"),
    "a rate that no number holds": (server(bandwidth_limit="99999999999GiB/s"), "server:bandwidth_limit: .* is no rate", "`server.bandwidth_limit` must be as"),
    "a level that is none": ({"compression_level": 20}, "compression_level: 20 is no number from -7 to 19", "`compression_level` must be"),
    "nicer than nice": ({"nice": 20}, "nice: 20 is no number from 0 to 19", "`nice` must be"),
    "less than never": ({"rehash_days": -1}, "rehash_days: -1 is no number", "invalid value: integer `-1`"),
    "a wait that no number holds": ({"verdict_wait_seconds": 2**32}, "verdict_wait_seconds: 4294967296 is no number", "invalid value: integer `4294967296`"),
    "a yes that is a text": ({"one_file_system": "yes"}, "one_file_system: 'yes' is neither yes nor no; write true or false", "invalid type: string"),
    "a no that is a number": ({"trusted_attributes": 0}, "trusted_attributes: a int is neither yes nor no", "invalid type: integer"),
    "caches that are a list": ({"exclude_caches": []}, "exclude_caches: a list is neither yes nor no", "invalid type: sequence"),
    "a marker in a folder": ({"exclude_if_present": ["a/b"]}, "exclude_if_present: 'a/b' is no name of a file", "`exclude_if_present` must be names"),
    "a marker that is the folder above": ({"exclude_if_present": [".."]}, "exclude_if_present: '..' is no name", "`exclude_if_present` must be names"),
    "33 markers": ({"exclude_if_present": ["a"] * 33}, "exclude_if_present: 33 are too many", "`exclude_if_present` must be at most 32"),
    "rules that are a text": ({"rules": "- a"}, "rules: '- a' is no list", "invalid type: string"),
    "257 rules": ({"rules": ["- a"] * 257}, "rules: 257 are too many", "`rules` holds"),
    **{
        f"the rule {text[:20]!r}": (rule(text), "rules: .*" + said, "`rules` holds")
        for text, said in (
            ("*.o", "does not begin"),
            ("-*.o", "does not begin"),
            ("-  a", "does not begin"),
            ("", "does not begin"),
            ("- ", "names nothing"),
            ("- /", "names nothing"),
            ("- a//b", "two slashes"),
            ("- ..", "names nothing, `.`"),
            ("- a**", "does not stand alone"),
            ("- [a", "without its"),
            ("- []", "without its"),
            ("- [!]", "without its"),
            ("- [a-", "without its"),
            ("- [z-a]", "ends before it begins"),
            ("- [\\xff-\\x80]", "ends before it begins"),
            ("- \\q", "a backslash"),
            ("- \\x0", "a backslash"),
            ("- \\x2f", "no name holds"),
            ("- [\\x00]", "no name holds"),
            ("- " + "a" * 1_023, "is longer than"),
            ("- /" + "a/" * 63, "has more than 62"),
            ("- " + "/".join("a" * 62), "has more than 62"),
        )
    },
}


def place(given):
    """A host whose pillar has these further settings."""
    world = test_firn.World(minion="web01")
    test_firn.fleet.__pillar__["firn"]["push"]["settings"] = copy.deepcopy(given)
    return world


def pushed():
    return test_firn.fleet.push(40)["settings"]


def unchecked():
    """What would be written if nobody had looked; None if there is no form for it."""
    module = test_firn.push
    guards = {word: getattr(module, word) for word in ("settings", "length")}
    try:
        test_firn.fleet.__salt__.update({"firn_push.settings": lambda *_: None, "firn_push.length": lambda text: text})
        return pushed()
    except (test_firn.Refused, TypeError):
        return None
    finally:
        test_firn.fleet.__salt__.update({f"firn_push.{word}": guard for word, guard in guards.items()})


def told(name, given, client):
    place(given)
    written = unchecked()
    try:
        pushed()
        salt = None
    except test_firn.Refused as error:
        salt = str(error)
    return {"name": name, "written": written, "salt": salt, "client": client}


def keys(checks, above=""):
    return [above + word for word in checks]


def known():
    """Each key that Salt lets into a push.toml, and those that it writes itself."""
    push = test_firn.push
    tables = {"before": push.TASK, "after": push.TASK, "dump": push.DUMP, "root": push.ROOT, "server": {**push.SERVER, **push.SERVER_OURS}, "server.ssh": push.SSH}
    return sorted(keys({**push.KEYS, **push.OURS}) + [key for table, checks in tables.items() for key in keys(checks, table + ".")])


if __name__ == "__main__":
    cases = [told(name, given, None) for name, given in GOOD.items()]
    cases += [told(name, given, client) for name, (given, _, client) in HOSTILE.items() if client not in (TAKEN, NO_FORM)]
    cases += [told(name, given, None) for name, (given, _, client) in HOSTILE.items() if client == TAKEN]
    print(json.dumps({"known": known(), "cases": cases}))
