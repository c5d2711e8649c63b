"""
What Firn's states believe, and why: every value of a pillar and every word of a minion passes through here first.

A minion is root on itself and nobody elsewhere: what it put into the Mine is hostile until it is checked here. Each check takes any type, looks at
type and size before anything else, and gives back the value or raises ``Refused``; nothing is repaired, folded or cut. Functions without ``__salt__``
in them are pure, and need nothing but Python 3.9.

This module never writes, and never runs a shell.
"""

import base64
import binascii
import ipaddress
import os
import re
import zlib
from collections.abc import Mapping

try:
    from salt.exceptions import CommandExecutionError as Refused
except ImportError:  # the pure functions work without Salt

    class Refused(Exception):
        """Something is not as it must be; nothing was changed."""


HOST_ID = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
HOST_ID_MAX = 63
MINION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MINION_ID_MAX = 253
KEY = re.compile(r"ssh-ed25519 (AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43})")
KEY_START = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"
KEY_BYTES = 51
FROM_MAX = 16
MINIONS_MAX = 10_000
LIST_MAX = 1_000
TEXT_MAX = 4_096
HOURS = [2, 10, 18]
# Accounts and groups of the server itself: no host may be called so.
RESERVED = ("drop", "ice", "read", "rendezvous")
# Keys of server.toml that accounts, jails and sshd stand on: another value would shut every host out.
FORMULAS = ("account_prefix", "owner", "readers", "hosts", "jails", "history", "views", "keys", "receiver", "hours")
# Tables that change what sshd lets in and which timers run, which the formula does not do.
BY_HAND = ("grants",)
# What `snapshotter host add --limit` takes besides push_hours: the key, its least and its most.
LIMITS = {
    **dict.fromkeys(("push_bytes", "expanded_bytes", "soft_bytes", "entries", "soft_entries", "history_bytes", "history_soft_bytes"), (0, 2**63 - 1)),
    **dict.fromkeys(("interval_seconds", "session_seconds", "idle_seconds", "grace_seconds", "least_bytes_second"), (0, 2**32 - 1)),
    "queued_pushes": (1, 2**32 - 1),
    "emergency_pushes": (0, 16),
}
ROLES = ("push-client", "backup-server", "iceboxer", "drill-host", "rendezvous-host", "rendezvous-server")
PLACE = re.compile(r"(?:salt://|/)[A-Za-z0-9][A-Za-z0-9._+~:/-]*")
VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]*")
ARCH = re.compile(r"[a-z0-9_]+")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
TOML_KEY = re.compile(r"[a-z][a-z0-9_]*")
# Printable, and nothing that ends a line or steers a terminal.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(value):
    """The value for a message: short, on one line, ASCII. What is no text is only called by its type."""
    return ascii(value[:60]) if type(value) is str else "a " + type(value).__name__


def text(value, what, pattern=None, longest=TEXT_MAX):
    if type(value) is not str or not 0 < len(value) <= longest or UNSEEN.search(value):
        raise Refused(f"{what}: {shown(value)} is not a text of 1 to {longest} visible characters")
    if pattern is not None and not pattern.fullmatch(value):
        raise Refused(f"{what}: {shown(value)} has characters that it may not have")
    return value


def number(value, what, least, most):
    if type(value) is not int or not least <= value <= most:
        raise Refused(f"{what}: {shown(value) if type(value) is not int else 'the number'} is not a number from {least} to {most}")
    return value


def items(value, what, check, most=LIST_MAX, least=0):
    """A list, each of its items checked, none of them twice."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise Refused(f"{what}: not a list of {least} to {most}")
    checked = [check(item, what) for item in value]
    if len(set(checked)) != len(checked):
        raise Refused(f"{what}: one is named twice")
    return checked


def table(value, what, check_key, check_value, most=LIST_MAX):
    if not isinstance(value, Mapping) or len(value) > most:
        raise Refused(f"{what}: not a table of at most {most} keys")
    return {check_key(key, what): check_value(item, f"{what}: {shown(key)}") for key, item in value.items()}


def host_id(value, what="host id"):
    """The grammar of host ids, as the programs have it."""
    text(value, what, HOST_ID, HOST_ID_MAX)
    if ".." in value or value in RESERVED:
        raise Refused(f"{what}: {shown(value)} cannot be a host id")
    return value


def minion_id(value, what="minion id"):
    return text(value, what, MINION_ID, MINION_ID_MAX)


def key(value, what="key"):
    """Exactly `ssh-ed25519 AAAA...`: no options before it, no comment after it, no second line."""
    text(value, what, KEY, 80)
    digits = value.split(" ")[1]
    try:
        raw = base64.b64decode(digits, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{what}: not base64") from error
    if len(raw) != KEY_BYTES or not raw.startswith(KEY_START) or base64.b64encode(raw).decode() != digits:
        raise Refused(f"{what}: not the 51 bytes of an ed25519 key")
    return value


def network(value, what="address"):
    """One address, or one network without bits beyond its mask; in the one form that has no other spelling."""
    text(value, what, longest=49)
    try:
        known = ipaddress.ip_network(value, strict=True)
    except ValueError as error:
        raise Refused(f"{what}: {shown(value)} is no address and no network") from error
    first = known.network_address
    form = str(known) if "/" in value else str(first)
    mapped = getattr(first, "ipv4_mapped", None)
    if "%" in value or form != value or known.prefixlen == 0 or first.is_multicast or first.is_unspecified or mapped:
        raise Refused(f"{what}: {shown(value)} is nothing that one host connects from")
    return value


def address(value, what="address"):
    """One address that a host may have for others to see."""
    network(value, what)
    if "/" in value:
        raise Refused(f"{what}: {shown(value)} is a network; a host names its own addresses only")
    known = ipaddress.ip_address(value)
    if known.is_loopback or known.is_link_local or known.is_reserved:
        raise Refused(f"{what}: {shown(value)} is nothing that a host connects from")
    return value


def within(value, networks):
    """Whether an address lies in one of the networks."""
    known = ipaddress.ip_address(value)
    return any(known in ipaddress.ip_network(one) for one in networks)


def ascending(networks):
    """In the order in which the server keeps them."""
    known = [(ipaddress.ip_network(item), item) for item in networks]
    return [item for _, item in sorted(known, key=lambda pair: (pair[0].version, pair[0].network_address, pair[0].prefixlen if "/" in pair[1] else -1))]


def hours(value, what="hours"):
    return sorted(items(value, what, lambda hour, _: number(hour, what, 0, 23), 24, 1))


def minute(name):
    """Unsigned CRC-32 of the host id, modulo 60: what `push-client schedule` prints."""
    return zlib.crc32(host_id(name).encode("ascii")) % 60


def path(value, what="path"):
    text(value, what)
    if not value.startswith("/") or value != os.path.normpath(value) or value.startswith("//"):
        raise Refused(f"{what}: {shown(value)} is not an absolute path in its shortest form")
    return value


def place(value, what="place"):
    """On the master's file server, or on the machine itself. What a URL gives nobody has vouched for: Salt installs a package from there without a hash."""
    text(value, what, longest=200)
    if re.match(r"(?i)(?:https?|ftp|s3|swift)://", value):
        raise Refused(f"{what}: {shown(value)} is a URL, and what it gives is checked against no hash; put it on the master's file server (salt://)")
    text(value, what, PLACE)
    if ".." in value or "//" in value.split("://")[-1]:
        raise Refused(f"{what}: {shown(value)} leaves its folder")
    return value.rstrip("/")


def _toml_value(value, what):
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(number(value, what, -(2**63), 2**63 - 1))
    if type(value) is str:
        return '"' + (value and text(value, what)).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list) and len(value) <= LIST_MAX and all(type(item) in (bool, int, str) for item in value):
        return "[" + ", ".join(_toml_value(item, what) for item in value) + "]"
    raise Refused(f"{what}: {shown(value)} cannot stand in a settings file")


def toml(settings, what="settings", above=()):
    """A settings file. Keys are small letters; texts are escaped; nothing else than tables, lists, texts, numbers and yes or no has a form."""
    name = lambda value, where: text(value, where, TOML_KEY, 60)
    if len(above) > 4:
        raise Refused(f"{what}: too deep")
    lines, below = [], []
    for word, value in table(settings, what, name, lambda item, _: item).items():
        here = above + (word,)
        if isinstance(value, Mapping):
            below += [f"[{'.'.join(here)}]", toml(value, what, here)]
        elif isinstance(value, list) and value and len(value) <= LIST_MAX and all(isinstance(item, Mapping) for item in value):
            for item in value:
                below += [f"[[{'.'.join(here)}]]", toml(item, what, here)]
        else:
            lines.append(f"{word} = {_toml_value(value, f'{what}: {word}')}")
    return "".join(f"{line}\n" if not line.endswith("\n") else line for line in lines + below if line)


class _Table:
    """A table of the pillar that is taken key by key. What is left at the end is a mistake, and is named."""

    def __init__(self, value, what):
        self.what, self.left = what, dict(table(value, what, text, lambda item, _: item))

    def take(self, word, check, default=None):
        value = self.left.pop(word, None)
        return default if value is None else check(value, f"{self.what}:{word}")

    def end(self):
        for word in self.left:
            raise Refused(f"pillar {self.what}: there is no key {shown(word)}")


def _choice(*words):
    def check(value, what):
        if type(value) is not str or value not in words:
            raise Refused(f"{what}: {shown(value)} is not one of {', '.join(words)}")
        return value

    return check


def _list_of(check, most=LIST_MAX, least=0):
    return lambda value, what: items(value, what, check, most, least)


def _table_of(check_key, check_value):
    return lambda value, what: table(value, what, check_key, check_value)


def _any(value, what):
    """Checked where it is written, by `toml`."""
    return table(value, what, lambda word, where: text(word, where, TOML_KEY, 60), lambda item, _: item)


def _packages(value, what):
    given = _Table(value, what)
    found = {
        "place": given.take("place", lambda item, where: item if item == "repository" else place(item, where), "salt://firn/packages"),
        "version": given.take("version", lambda item, where: text(item, where, VERSION, 60)),
    }
    given.end()
    return found


def _server(value, what):
    given = _Table(value, what)
    found = {
        "minion": given.take("minion", minion_id),
        "address": given.take("address", lambda item, where: text(item, where, re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*"), 253)),
        "port": given.take("port", lambda item, where: number(item, where, 1, 65535), 2222),
        "host_key": given.take("host_key", key),
        "listen": given.take("listen", _list_of(_listened, 16, 1), ["0.0.0.0", "::"]),
        "minions": given.take("minions", text, "*"),
        "hosts_min": given.take("hosts_min", lambda item, where: number(item, where, 0, MINIONS_MAX), 1),
        "from": given.take("from", _table_of(host_id, _list_of(network, FROM_MAX, 1)), {}),
        "limits_of": given.take("limits_of", _table_of(host_id, limits), {}),
        "appliances": given.take("appliances", _table_of(host_id, _appliance), {}),
        "networks": given.take("networks", _list_of(network), []),
        "ignored_minions": given.take("ignored_minions", _list_of(minion_id), []),
        "settings": given.take("settings", _any, {}),
    }
    given.end()
    for word in FORMULAS:
        if word in found["settings"]:
            raise Refused(f"pillar {what}:settings: {word} is the formula's own")
    for word in BY_HAND:
        if word in found["settings"]:
            raise Refused(f"pillar {what}:settings: {word} is not done by the formula: sshd_config and firn-grants.timer have to follow it")
    return found


def _listened(value, what):
    return value if type(value) is str and value in ("0.0.0.0", "::", "127.0.0.1", "::1") else address(value, what)


def _push(value, what):
    given = _Table(value, what)
    found = {
        "roots": given.take("roots", _list_of(path), []),
        "exclude": given.take("exclude", _list_of(path), []),
        "from": given.take("from", _list_of(address, FROM_MAX, 1)),
        "settings": given.take("settings", _any, {}),
    }
    given.end()
    return found


def _rendezvous(value, what):
    given = _Table(value, what)
    found = {
        "server_key": given.take("server_key", key),
        "server_from": given.take("server_from", address),
        "hosts": given.take("hosts", _table_of(host_id, _called), {}),
    }
    given.end()
    return found


def _appliance(value, what):
    """One that runs no minion: what the Mine has of others is the pillar's word here."""
    given = _Table(value, what)
    found = {"key": given.take("key", key), "from": given.take("from", _list_of(network, FROM_MAX, 1))}
    given.end()
    if found["key"] is None or found["from"] is None:
        raise Refused(f"pillar {what}: key and from are needed")
    return found


def _called(value, what):
    """A host that may call nobody: where its sshd is, by which key it is known, and the port that is opened there."""
    given = _Table(value, what)
    found = {
        "address": given.take("address", address),
        "port": given.take("port", lambda item, where: number(item, where, 1, 65535), 22),
        "listen": given.take("listen", lambda item, where: number(item, where, 1024, 65535), 5022),
        "host_key": given.take("host_key", key),
    }
    given.end()
    if found["address"] is None or found["host_key"] is None:
        raise Refused(f"pillar {what}: address and host_key are needed")
    return found


def _ice(value, what):
    given = _Table(value, what)
    found = _with_files(given)
    found["credentials"] = given.take("credentials", _table_of(credential, _secret), {})
    given.end()
    return found


def _drill(value, what):
    """Its credentials are brought there by hand, with the secret key."""
    given = _Table(value, what)
    found = {**_with_files(given), "credentials": {}}
    given.end()
    return found


def _with_files(given):
    return {
        "settings": given.take("settings", _any, {}),
        "files": given.take("files", _table_of(lambda item, where: text(item, where, WORD, 100), place), {}),
    }


def limits(value, what="limits"):
    """What one host may, key by key."""
    given = _Table(value, what)
    found = {word: given.take(word, lambda item, where, most=most: number(item, where, *most)) for word, most in LIMITS.items()}
    found["push_hours"] = given.take("push_hours", hours)
    given.end()
    return {word: item for word, item in found.items() if item is not None}


def credential(value, what):
    """The name of a file with a credential."""
    return text(value, what, WORD, 100)


def _secret(value, what):
    """A credential of a vault: any text, but never a key that opens ice."""
    if type(value) is not str or not 0 < len(value) <= 65536 or "PGP PRIVATE KEY" in value:
        raise Refused(f"{what}: not a text that may be handed out")
    return value


def settings(pillar):
    """The pillar, every key of it checked and every default filled in. One that it does not know is refused."""
    given = _Table(pillar.get("firn") if isinstance(pillar, Mapping) else None, "firn")
    found = {
        "roles": given.take("roles", _list_of(_choice(*ROLES)), []),
        "id_from": given.take("id_from", _choice("minion_id", "hostname"), "minion_id"),
        "ids": given.take("ids", _table_of(minion_id, host_id), {}),
        "hours": given.take("hours", hours, HOURS),
        "hours_of": given.take("hours_of", _table_of(host_id, hours), {}),
        "schedule": given.take("schedule", _choice("cron", "timer"), "cron"),
        "retired": given.take("retired", _list_of(host_id, MINIONS_MAX), []),
        "packages": given.take("packages", _packages, _packages({}, "firn:packages")),
        "server": given.take("server", _server, _server({}, "firn:server")),
        "push": given.take("push", _push),
        "rendezvous": given.take("rendezvous", _rendezvous, _rendezvous({}, "firn:rendezvous")),
        "ice": given.take("ice", _ice, _ice({}, "firn:ice")),
        "drill": given.take("drill", _drill, _drill({}, "firn:drill")),
    }
    given.end()
    if len(set(found["ids"].values())) != len(found["ids"]):
        raise Refused("pillar firn:ids: two minions have one host id")
    for host in found["rendezvous"]["hosts"]:
        # Their pushes come out of the server's own end of the way.
        found["server"]["from"].setdefault(host, ["127.0.0.1"])
    if "drill-host" in found["roles"] and {"backup-server", "iceboxer"} & set(found["roles"]):
        raise Refused("pillar firn:roles: the secret key of drills has no business on the backup server")
    return found


def id_of(minion, hostname, found):
    """The host id of a machine: from the pillar's table, else the name that `id_from` says."""
    given = found["ids"].get(minion, minion if found["id_from"] == "minion_id" else hostname)
    return host_id(given, "host id of this machine")
