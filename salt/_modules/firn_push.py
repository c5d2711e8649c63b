"""
What push.toml may say, by the rules of push-client: what that would refuse on the host is refused here, before it is written there.

The rules are those of the program: `settings.rs`, `plan.rs` and `plan/` of crate push-client. The tests give both the same settings. Stricter than the
program are four things only: no text has characters that are not seen, none is longer than 4,096, the mode of a dump has no sign, and what the formula
sets itself is not set a second time.

This module never writes, and changes nothing. Pure but for the words of messages.
"""

import re
from collections.abc import Mapping

try:
    from salt.exceptions import CommandExecutionError as Refused
except ImportError:

    class Refused(Exception):
        """Something is not as it must be; nothing was changed."""


# Commands of each kind, words of one; names of exclude_if_present; rules, bytes and components of one.
COMMANDS_MAX = 32
WORDS_MAX = 256
MARKERS_MAX = 32
RULES_MAX = 256
RULE_BYTES_MAX = 1_024
RULE_PARTS_MAX = 62
# Of a path: bytes of one component.
COMPONENT_BYTES_MAX = 255
SETTINGS_BYTES_MAX = 1 << 20
SECONDS = (1, 2_678_400)
U32 = (0, 2**32 - 1)
RATE = re.compile(r"([0-9]+) *(B|KiB|MiB|GiB)/s")
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
RATE_MIN = 16 << 10
MODE = re.compile(r"[0-7]+")
CIPHER = re.compile(r"[A-Za-z0-9@.-]+")
# What ssh takes literally.
SSH_PATH = re.compile(r"/[A-Za-z0-9/._@,:+-]*")
SSH_WORD = re.compile(r"(?!-)[A-Za-z0-9._:%-]*")


def settings(given, roots):
    """Raises `Refused` unless push-client takes these further settings of a host with these roots."""
    where = "firn:push:settings"
    _table(given, where, KEYS, set(), OURS)
    if not roots and not given.get("root"):
        raise Refused(f"pillar firn:push:roots: nothing is pushed; write the paths of what is, or name snapshots in {where}:root")
    read = [_parts(path) for path in roots] + [_parts(root["path"]) for root in given.get("root", [])]
    _places(given.get("dump", []), read, where + ":dump")


def length(text):
    """The file as it would be written, if push-client reads one as long."""
    if len(text.encode("utf-8")) > SETTINGS_BYTES_MAX:
        raise Refused(f"pillar firn:push: settings of more than {SETTINGS_BYTES_MAX} bytes; write less of them, scripts belong into files")
    return text


def _refused(where, value, what, instead):
    return Refused(f"pillar {where}: {__salt__['firn.shown'](value)} {what}; write {instead}")


def _table(value, where, checks, needed, ours=()):
    """Every key known, every needed key there, every value checked."""
    if not isinstance(value, Mapping):
        raise _refused(where, value, "is no table", "keys and values: " + ", ".join(checks))
    for word in value:
        if type(word) is str and word in ours:
            raise Refused(f"pillar {where}: {word} is the formula's own; leave it out and write {ours[word]}")
        if type(word) is not str or word not in checks:
            raise _refused(where, word, "is no key there", "one of " + ", ".join(checks))
    for word in sorted(needed - set(value)):
        raise Refused(f"pillar {where}: {word} is missing; write {word}: {NEEDED[word]}")
    for word, item in value.items():
        if item is None:
            raise Refused(f"pillar {where}:{word}: there is no value; write one, or leave the key out")
        checks[word](item, f"{where}:{word}")


def _tables(checks, needed, most):
    def check(value, where):
        if not isinstance(value, list):
            raise _refused(where, value, "is no list", "a list of tables, each line of them with `-` before its first key")
        if len(value) > most:
            raise Refused(f"pillar {where}: {len(value)} are too many; write at most {most}")
        for number, item in enumerate(value, 1):
            _table(item, f"{where}:{number}", checks, needed)

    return check


def _list(check, most, instead):
    def checked(value, where):
        if not isinstance(value, list):
            raise _refused(where, value, "is no list", instead)
        if len(value) > most:
            raise Refused(f"pillar {where}: {len(value)} are too many; write at most {most}")
        for item in value:
            check(item, where)

    return checked


def _text(value, where, instead):
    if type(value) is not str:
        raise _refused(where, value, "is no text", f"{instead}, in quotes if it looks like a number or a yes or no")
    if value:
        try:
            __salt__["firn.text"](value, where)
        except Refused as error:
            raise Refused(f"pillar {error}; write {instead}") from error
    return value


def _number(least, most):
    def check(value, where):
        if type(value) is not int or not least <= value <= most:
            shown = str(value) if type(value) is int and abs(value) < 1 << 64 else __salt__["firn.shown"](value)
            raise Refused(f"pillar {where}: {shown} is no number from {least} to {most}; write one, without quotes")

    return check


def _yes_or_no(value, where):
    if type(value) is not bool:
        raise _refused(where, value, "is neither yes nor no", "true or false, without quotes")


def _parts(path):
    """The components of an absolute path."""
    return [part for part in path.split("/") if part]


def _is_path(text):
    """Absolute, and no name in it is empty, a dot or two, or longer than a name can be; one slash may end it."""
    below = text[1:-1] if text.endswith("/") and len(text) > 1 else text[1:]
    names = below.split("/") if below else []
    return text.startswith("/") and all(name not in ("", ".", "..") and len(name.encode("utf-8")) <= COMPONENT_BYTES_MAX for name in names)


def _path(value, where, instead="an absolute path without `.`, `..` or two slashes in a row"):
    if not _is_path(_text(value, where, instead)):
        raise _refused(where, value, "is no path of that kind", instead)


def _path_below(value, where):
    """Of a file or folder: not `/` itself."""
    instead = "an absolute path such as /var/backups/name, without `.`, `..` or two slashes in a row"
    _path(value, where, instead)
    if not _parts(value):
        raise _refused(where, value, "is the whole host", instead)


def _command(value, where):
    instead = "a list of words, a program first: [pg_dumpall, --clean]; for a line of shell [/bin/sh, -c, '...']"
    _list(lambda word, at: _text(word, at, "words of visible characters on one line; longer scripts belong into a file"), WORDS_MAX, instead)(value, where)
    if not value or not value[0]:
        raise Refused(f"pillar {where}: there is no program; write {instead}")
    program = value[0]
    if "/" in program and not program.startswith("/"):
        raise _refused(where, program, "is relative", "the program's name alone or its absolute path")


def _user(value, where):
    instead = "the name of an account of the host, or leave the key out"
    if not _text(value, where, instead) or ":" in value:
        raise _refused(where, value, "is no name of an account", instead)


def _mode(value, where):
    instead = "permission bits in quotes such as '0640', at most '0777'"
    if not MODE.fullmatch(_text(value, where, instead)) or int(value, 8) > 0o777:
        raise _refused(where, value, "is no mode", instead)


def _marker(value, where):
    instead = "names of files, without a slash"
    if not _text(value, where, instead) or "/" in value or not _is_path("/" + value):
        raise _refused(where, value, "is no name of a file", instead)


def _rule(value, where):
    """A pattern, by docs/filters.md."""
    wrong = lambda what: _refused(where, value, what, "rules such as '- *.o' or '+ /srv/*/keep/**' (docs/filters.md)")
    _text(value, where, "rules such as '- *.o'")
    if len(value.encode("utf-8")) > RULE_BYTES_MAX:
        raise wrong(f"is longer than {RULE_BYTES_MAX} bytes")
    if value[:2] not in ("+ ", "- ") or value[2:3] == " ":
        raise wrong("does not begin with '+ ' or '- ' and a pattern")
    pattern = value[2:]
    pattern = pattern[:-1] if pattern.endswith("/") else pattern
    parts = [] if pattern.startswith("/") else ["**"]
    for part in pattern[1 if pattern.startswith("/") else 0 :].split("/"):
        if part in ("", ".", ".."):
            raise wrong("names nothing, `.` or `..`, or has two slashes in a row")
        if part != "**":
            _glob(part, wrong)
        if part != "**" or parts[-1:] != ["**"]:
            parts.append(part)
    if len(parts) + (parts[-1] == "**") > RULE_PARTS_MAX:
        raise wrong(f"has more than {RULE_PARTS_MAX} components")


PUNCTUATION = r"\\(?:x[0-9A-Fa-f]{2}|[ -/:-@\[-`{-~])"
MEMBER = rf"(?:{PUNCTUATION}|[^\\])"
ONE = re.compile(PUNCTUATION)
CLASS = re.compile(rf"\[(?:[!^]|(?![!^])){MEMBER}(?:-(?!\]){MEMBER})?(?:(?!\]){MEMBER}(?:-(?!\]){MEMBER})?)*\]", re.DOTALL)
RANGE = re.compile(rf"({MEMBER})-(?!\])({MEMBER})|{MEMBER}", re.DOTALL)


def _glob(part, wrong):
    """One component of a pattern."""
    at = 0
    while at < len(part):
        sign, found = part[at], None
        if part.startswith("**", at):
            raise wrong("has `**` that does not stand alone between slashes")
        if sign == "\\":
            found = ONE.match(part, at)
            if found is None:
                raise wrong("has a backslash that stands neither before punctuation nor as \\xNN")
            _unit(found.group(), wrong)
        if sign == "[":
            found = CLASS.match(part, at)
            if found is None:
                raise wrong("has a `[` without its `]`")
            for first, last in _ranges(found.group()):
                if _unit(last, wrong) < _unit(first, wrong):
                    raise wrong("has a range that ends before it begins")
        at = found.end() if found else at + 1


def _ranges(text):
    inside = text[2 if text[1] in "!^" else 1 : -1]
    return [(one.group(1) or one.group(), one.group(2) or one.group()) for one in RANGE.finditer(inside)]


def _unit(member, wrong):
    """What a member of a class is compared by: a character, or above them all a byte that is none."""
    if not member.startswith("\\x"):
        return ord(member[-1])
    byte = int(member[2:], 16)
    if byte in (0, ord("/")):
        raise wrong("has a byte that no name holds")
    return byte if byte < 0x80 else 0x110000 + byte


def _rate(value, where):
    instead = "a rate such as 2MiB/s, in B, KiB, MiB or GiB, and 16KiB/s or more"
    found = RATE.fullmatch(_text(value, where, instead))
    if not found or not RATE_MIN <= int(found[1]) * UNITS[found[2]] < 1 << 64:
        raise _refused(where, value, "is no rate", instead)


def _cipher(value, where):
    instead = "names of ciphers such as aes128-gcm@openssh.com"
    if not CIPHER.fullmatch(_text(value, where, instead)):
        raise _refused(where, value, "is no name of a cipher", instead)


def _ciphers(value, where):
    _list(_cipher, 1_000, "a list of ciphers, best first")(value, where)
    if not value:
        raise Refused(f"pillar {where}: there is none; write one or more, or leave the key out")


def _keepalive(value, where):
    if value != 0 or type(value) is not int:
        _number(2, 3_600)(value, where + " (0, or seconds)")


def _transport(value, where):
    if type(value) is not str or value not in ("ssh2", "ssh"):
        raise _refused(where, value, "is none", "ssh2 or ssh")


def _account(value, where):
    if not _text(value, where, "the name of an account of the server"):
        raise _refused(where, value, "is empty", "the name of an account of the server, or leave the key out")


def _server(value, where):
    _table(value, where, SERVER, set(), SERVER_OURS)
    if value.get("transport", "ssh2") != "ssh":
        if "ssh" in value:
            raise Refused(f"pillar {where}:ssh: is of use with another transport only; write transport: ssh, or leave it out")
        return
    if not SSH_WORD.fullmatch(value.get("account", "")):
        raise _refused(f"{where}:account", value["account"], "means more than a name to ssh", "letters, digits and `._-:%`, and no `-` at the beginning")


def _ssh_path(value, where):
    instead = "an absolute path of letters, digits and `/._-+@,:`, which ssh takes as it is"
    if not SSH_PATH.fullmatch(_text(value, where, instead)):
        raise _refused(where, value, "is no such path", instead)


def _places(dumps, read, where):
    """No two dumps in one place, none where a root is or above one, none below another."""
    taken = []
    for number, dump in enumerate(dumps, 1):
        parts = _parts(dump["path"])
        for other, theirs in enumerate(taken, 1):
            least = min(len(parts), len(theirs))
            if parts[:least] == theirs[:least]:
                raise _refused(f"{where}:{number}:path", dump["path"], f"is, or lies above or below, the path of dump {other}", "another path")
        if any(root[: len(parts)] == parts for root in read):
            raise _refused(f"{where}:{number}:path", dump["path"], "is, or lies above, a root", "a path below a root, or beside them all")
        taken.append(parts)


# What a missing key would look like.
NEEDED = {"command": "[program, argument]", "path": "/an/absolute/path", "read_at": "/where/the/snapshot/is"}
TASK = {"command": _command, "user": _user, "timeout_seconds": _number(*SECONDS)}
DUMP = {**TASK, "path": _path_below, "mode": _mode, "least_bytes": _number(0, 2**63 - 1)}
ROOT = {"path": _path, "read_at": _path_below}
SSH = {"program": _ssh_path, "config": _ssh_path, "agent": _ssh_path, "paths": _list(_ssh_path, 1_000, "a list of paths")}
SERVER = {
    "account": _account,
    "transport": _transport,
    "ssh": lambda value, where: _table(value, where, SSH, set()),
    "ciphers": _ciphers,
    **dict.fromkeys(("connect_seconds", "idle_seconds", "session_seconds"), _number(*SECONDS)),
    "keepalive_seconds": _keepalive,
    "bandwidth_limit": _rate,
}
SERVER_OURS = {
    "address": "firn:server:address",
    "port": "firn:server:port",
    "host_key": "firn:server:host_key",
    "key": "nothing instead: each host makes its own",
}
KEYS = {
    "root": _tables(ROOT, set(ROOT), 1_000),
    "rules": _list(_rule, RULES_MAX, "a list of rules such as '- *.o'"),
    "exclude_if_present": _list(_marker, MARKERS_MAX, "a list of names"),
    **dict.fromkeys(("exclude_caches", "one_file_system", "trusted_attributes"), _yes_or_no),
    **dict.fromkeys(("rehash_days", "verdict_wait_seconds"), _number(*U32)),
    "compression_level": _number(-7, 19),
    "nice": _number(0, 19),
    "before": _tables(TASK, {"command"}, COMMANDS_MAX),
    "dump": _tables(DUMP, {"command", "path"}, COMMANDS_MAX),
    "after": _tables(TASK, {"command"}, COMMANDS_MAX),
    "server": _server,
}
OURS = {
    "host": "firn:ids or firn:id_from",
    "roots": "firn:push:roots",
    "exclude": "firn:push:exclude",
    "state": "nothing instead: it is /var/lib/firn/push",
}
