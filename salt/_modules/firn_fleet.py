"""
What the states are to do: for a host, all that its files say; for the backup server, which hosts to add and which to retire.

`plan` decides from what the minions claim and what the server has, and refuses as a whole: if one claim is wrong, nothing is done about any. It is
pure, as is all here that does not use ``__salt__``. This module changes nothing.
"""

import json
import os
import re
import socket

try:
    from salt.exceptions import CommandExecutionError as Refused
except ImportError:

    class Refused(Exception):
        """Something is not as it must be; nothing was changed."""


MINIONS_MAX = 10_000
REASONS_SHOWN = 20
JSON_MAX = 64 << 20
# How snapshotter ends when it did all but what it names.
LEFT_OUT = 3
PACKAGES = {"push-client": "firn-client", "backup-server": "firn-server", "iceboxer": "firn-server", "drill-host": "firn-drill"}
FOLDERS = {
    "jails": "/srv/firn/jails",
    "history": "/srv/firn/history",
    "views": "/srv/firn/views",
    "keys": "/etc/firn/keys",
    "receiver": "/usr/lib/firn/receiver",
}
# Names of the credentials that Salt put into the folder of that name, a line each.
CREDENTIALS = "/etc/firn/credentials.salt"
# What sshd is told where it knows how: the least version, and the lines. An idle receiver ends itself long before the hour.
NEWER = [
    ((9, 2), ["ChannelTimeout *=1h", "UnusedConnectionTimeout 30s"]),
    ((9, 8), ["PerSourcePenalties yes"]),
]


def claim(minion, value, found):
    """One minion's word about itself, checked: its host id, key and addresses. Raises `Refused`."""
    check = lambda name, *words: __salt__["firn." + name](*words)
    check("minion_id", minion)
    if type(value) is not dict or len(value) != 3 or any(type(word) is not str for word in value) or set(value) != {"host", "key", "from"}:
        raise Refused("not exactly host, key and from")
    host = check("host_id", value["host"])
    if found["server"]["minion"] == minion:
        raise Refused("the backup server is no host of its own")
    if check("id_of", minion, host, found) != host:
        raise Refused(f"claims the id {host}, which is not its own")
    key = check("key", value["key"])
    addresses = value["from"]
    if type(addresses) is not list or not 0 < len(addresses) <= 16:
        raise Refused("from: not a list of 1 to 16 addresses")
    own = []
    for item in addresses:
        own.append(check("address", item, "from"))
    return {"host": host, "key": key, "from": _allowed(host, own, found), "known_as": minion}


def _allowed(host, own, found):
    """The addresses that count: those of the pillar, else the host's own that lie in the pillar's networks."""
    server = found["server"]
    if host in server["from"]:
        return __salt__["firn.ascending"](server["from"][host])
    if server["networks"]:
        own = [item for item in own if __salt__["firn.within"](item, server["networks"])]
        if not own:
            raise Refused("none of its addresses is in firn:server:networks")
    return __salt__["firn.ascending"](list(dict.fromkeys(own)))


def plan(mine, hosts, found):
    """
    What is to be done, from the Mine (`minion: claim`) and the server's hosts (of `snapshotter host list --json`). Gives `add`, `retire`, `same`, `notes`, and
    `unread`: hosts that are left as they are, because nobody can tell whose they are. Raises `Refused` with all reasons, and then nothing may be changed.
    """
    if not isinstance(mine, dict) or len(mine) > MINIONS_MAX:
        raise Refused("the Mine gave no table of minions, or too many")
    ignored, reasons, claims, notes = set(found["server"]["ignored_minions"]), [], [], []
    for minion, value in sorted(mine.items(), key=lambda pair: str(pair[0])[:300]):
        if type(minion) is str and minion in ignored:
            notes.append(f"{minion} is ignored, as pillar firn:server:ignored_minions says")
            continue
        try:
            claims.append(claim(minion, value, found))
        except Refused as error:
            reasons.append(f"minion {__salt__['firn.shown'](minion)}: {error}")
    mined = len({one["host"] for one in claims} - set(found["retired"]))
    claims += [_dropping(host, about) for host, about in sorted(found["server"]["appliances"].items())]
    gone = set(found["retired"])
    notes += [f"{one['host']} is retired, and {one['known_as']} is still a minion that claims it" for one in claims if one["host"] in gone]
    claims = [one for one in claims if one["host"] not in gone]
    records = {record["host"]: record for record in hosts}
    reasons += _twice(claims) + _others(claims, records) + _missing(claims, records, found, ignored, mined)
    if reasons:
        more = f" (and {len(reasons) - REASONS_SHOWN} more)" if len(reasons) > REASONS_SHOWN else ""
        raise Refused("nothing was changed: " + "; ".join(reasons[:REASONS_SHOWN]) + more)
    unread = [one["host"] for one in claims if one["host"] in records and records[one["host"]]["unread"]]
    add, same = [], 0
    for one in claims:
        if one["host"] in unread:
            continue
        one["hours"] = found["hours_of"].get(one["host"], found["hours"])
        one["limits"] = _limits(one["host"], records.get(one["host"]), found)
        if one["limits"] or _differs(one, records.get(one["host"])):
            add.append(one)
        else:
            same += 1
    # Last, what `host add` may fail at: it keeps no other from its turn.
    add.sort(key=lambda one: one["host"] in records and not records[one["host"]]["complete"])
    return {"add": add, "retire": to_retire(hosts, found), "same": same, "notes": notes, "unread": unread}


def _dropping(host, about):
    """An appliance, which is known as itself."""
    return {"host": host, "key": about["key"], "from": __salt__["firn.ascending"](about["from"]), "known_as": host, "appliance": True}


def to_retire(hosts, found):
    """Hosts that the pillar calls retired and that are not, or not wholly. No minion has a word in it."""
    gone = set(found["retired"])
    return sorted(one["host"] for one in hosts if one["host"] in gone and not (one["retired"] and one["complete"]))


def retirements():
    """What `to_retire` says of this server as it is now."""
    found = __salt__["firn.settings"](__pillar__)
    return to_retire(hosts(), found) if found["retired"] else []


def _twice(claims):
    reasons = []
    for what, words in (("host", "two minions claim the host id"), ("key", "two minions have one key, as copies of one machine do")):
        seen = {}
        for one in claims:
            first = seen.setdefault(one[what], one)
            if first is not one:
                reasons.append(f"{words}: {first['known_as']} and {one['known_as']} ({one['host']})")
    return reasons


def _others(claims, records):
    """Claims of an id that is another machine's, or nobody's any more."""
    reasons = []
    for one in claims:
        record = records.get(one["host"])
        # What is unread is added for nobody, and stops nobody else: `plan` leaves it out.
        if record is None or record["unread"]:
            continue
        if record["retired"]:
            reasons.append(f"{one['known_as']} claims {one['host']}, which is retired; an id is never used again")
        elif record["known_as"] is None and record["key"] != one["key"]:
            reasons.append(f"{one['known_as']} claims {one['host']}, which was added by hand with another key")
        elif record["known_as"] is None and one["host"] != one["known_as"]:
            # A public key is no secret, and a name that the machine gives itself is nobody's word.
            reasons.append(
                f"{one['known_as']} claims {one['host']}, which was added by hand, and is called otherwise; if it is that host, hand it over on the server: "
                f"`snapshotter host add {one['host']} --key FILE --known-as {one['known_as']}`"
            )
        elif record["known_as"] not in (None, one["known_as"]):
            reasons.append(f"{one['known_as']} claims {one['host']}, which is {record['known_as']}'s")
    return reasons


def _missing(claims, records, found, ignored, mined):
    """An empty or shrunken Mine must never look like a fleet that got smaller."""
    claimed = {one["host"] for one in claims}
    reasons = []
    for host, record in sorted(records.items()):
        expected = record["known_as"] is not None and not record["retired"] and record["known_as"] not in ignored
        if expected and host not in claimed and host not in found["retired"]:
            reasons.append(f"{host} ({record['known_as']}) is not in the Mine, and pillar firn:retired does not name it")
    if mined < found["server"]["hosts_min"]:
        reasons.append(f"the Mine tells of {mined} hosts, and pillar firn:server:hosts_min asks for {found['server']['hosts_min']}")
    return reasons


def _limits(host, record, found):
    """What `host add` is told so that the limits of a host are those of the pillar. A host that the pillar does not name keeps what it has."""
    wanted = found["server"]["limits_of"].get(host)
    has = record["limits"] if record else {}
    if wanted is None:
        return []
    said = lambda item: "" if item is None else ",".join(str(hour) for hour in item) if isinstance(item, list) else str(item)
    return [f"{word}={said(wanted.get(word))}" for word in sorted({*wanted, *has}) if wanted.get(word) != has.get(word)]


def _differs(one, record):
    return record is None or not record["complete"] or one.get("appliance", False) != record["appliance"] or any(record[word] != one[word] for word in ("key", "from", "hours", "known_as"))


def read_hosts(output, code=0):
    """The hosts of `snapshotter host list --json`: the report is the last line. With `code` 3, something of a host could not be read."""
    if type(output) is not str or len(output) > JSON_MAX:
        raise Refused("snapshotter host list: no report")
    try:
        listed = json.loads(output.strip().splitlines()[-1])["details"]["hosts"]
        return [_record(host, code) for host in listed]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Refused(f"snapshotter host list: not the report that was expected ({error!r:.100})") from error


def _record(host, code):
    line = host["key"]["line"] if host["key"] else ""
    complete = host["complete"] is True
    return {
        "host": __salt__["firn.host_id"](host["host"]),
        # What stands before the key is compared by `complete`.
        "key": " ".join(line.split(" ")[-2:]),
        "from": list(host["from"] or []),
        "hours": list(host["hours"]) if host["hours"] else None,
        "known_as": host["known_as"],
        "limits": dict(host.get("limits") or {}),
        "retired": bool(host["retired"]),
        "appliance": host.get("appliance") is True,
        "complete": complete,
        # Its record may be what was not read, and then it may be anybody's, or retired.
        "unread": code == LEFT_OUT and not complete and host["known_as"] is None and not host["retired"],
    }


def hosts():
    """The hosts of this server, as snapshotter has them; all of them, also if the record or key file of one cannot be read."""
    done = __salt__["cmd.run_all"](["snapshotter", "host", "list", "--json"], python_shell=False, ignore_retcode=True)
    if done["retcode"] not in (0, LEFT_OUT):
        raise Refused(f"snapshotter host list ended with {done['retcode']}: {done['stderr'][-300:]}")
    return read_hosts(done["stdout"], done["retcode"])


def asked():
    """The plan for this server, from the Mine and the pillar as they are now."""
    found = __salt__["firn.settings"](__pillar__)
    mine = __salt__["mine.get"](found["server"]["minions"], "firn_keys.push", tgt_type="compound")
    return plan(mine, hosts(), found)


def accounts(minions):
    """Which hosts the minions of this list, with commas, have on this server. Raises `Refused` with the names of those that have none."""
    records = {record["known_as"]: record["host"] for record in hosts() if record["complete"] and not record["retired"]}
    wanted = [__salt__["firn.minion_id"](one) for one in __salt__["firn.text"](minions, "minions", longest=MINIONS_MAX * 256).split(",")]
    lacking = [one for one in wanted if one not in records]
    if lacking:
        more = f" (and {len(lacking) - REASONS_SHOWN} more)" if len(lacking) > REASONS_SHOWN else ""
        raise Refused(
            f"without an account on this server: {', '.join(lacking[:REASONS_SHOWN])}{more}; "
            "`salt-call firn_keys.push` on the machine says what keeps it from telling its key; if it tells one, is mine_functions in its pillar?"
        )
    return {one: records[one] for one in wanted}


def _package(found, role):
    name = PACKAGES[role]
    if found["packages"]["place"] == "repository":
        return {"name": name, "source": None, "version": found["packages"]["version"]}
    if found["packages"]["version"] is None:
        raise Refused("pillar firn:packages:version: which version of the packages lies in their place?")
    arch = __salt__["firn.text"](__grains__["osarch"], "grain osarch", re.compile(r"[a-z0-9_]+"), 20)
    if __grains__["os_family"] != "Debian":
        raise Refused("there are packages for Debian's family only; elsewhere install the programs, and set firn:packages:place to `repository`")
    return {"name": name, "source": f"{found['packages']['place']}/{name}_{found['packages']['version']}_{arch}.deb", "version": None}


def roles():
    """What this machine is, for `init.sls`."""
    return __salt__["firn.settings"](__pillar__)["roles"]


def _server_key(found):
    """The key that the server is pinned by: the pillar's, else the Mine's, and there only what the server's own minion says."""
    pinned, minion = found["server"]["host_key"], found["server"]["minion"]
    if pinned is not None:
        return pinned
    if minion is None:
        raise Refused("pillar firn:server:minion: whose word in the Mine is the server's key?")
    return key_of_server(__salt__["mine.get"](minion, "firn_keys.server", tgt_type="list"), minion)


def pinned():
    """
    The key by which hosts are to know this backup server, as `_server_key` has it on each of them: the pillar's, else what the Mine has of this minion. Raises
    `Refused` if neither tells.
    """
    found, own = __salt__["firn.settings"](__pillar__), __grains__["id"]
    if found["server"]["host_key"] is not None:
        return found["server"]["host_key"]
    return key_of_server(__salt__["mine.get"](own, "firn_keys.server", tgt_type="list"), own)


def key_of_server(mine, minion):
    """The key in an answer of the Mine: nobody else may be in it."""
    if not isinstance(mine, dict) or list(mine) != [minion]:
        raise Refused(f"the Mine does not have the key of the backup server {minion} yet, or has another's")
    value = mine[minion]
    if type(value) is not dict or list(value) != ["host_key"]:
        raise Refused(f"what the Mine has of {minion} is not the key of a backup server")
    return __salt__["firn.key"](value["host_key"], f"key of {minion}")


def push(minute):
    """All that the state of a host needs; `minute` is the pillar's `backup_minute`."""
    found = __salt__["firn.settings"](__pillar__)
    host = __salt__["firn.id_of"](__grains__["id"], socket.gethostname(), found)
    own = __salt__["firn.minute"](host)
    if type(minute) is not int or minute != own:
        raise Refused(f"pillar backup_minute must be {own} for {host}: is backup_minute.py among the master's ext_pillar, with the same id?")
    if found["push"] is None or found["server"]["address"] is None:
        raise Refused("pillar firn:push:roots and firn:server:address: what is pushed, and where to?")
    given = found["push"]["settings"]
    due = found["hours_of"].get(host, found["hours"])
    clock = ",".join(str(hour) for hour in due)
    settings = {"host": host, "roots": found["push"]["roots"], "exclude": found["push"]["exclude"], "state": "/var/lib/firn/push"}
    server = {
        "address": found["server"]["address"],
        "port": found["server"]["port"],
        "key": "/etc/firn/push_ed25519",
        "host_key": _server_key(found),
    }
    if "rendezvous-host" in found["roles"]:
        server.update(address="127.0.0.1", port=_called(found, host)["listen"])
    try:
        __salt__["firn_push.settings"](given, found["push"]["roots"])
        written = __salt__["firn.toml"]({**given, **settings, "server": {**given.get("server", {}), **server}})
        __salt__["firn_push.length"](written)
    except Refused as error:
        raise Refused(f"minion {__grains__['id']}, host {host}: {error}") from error
    return {
        "host": host,
        "package": _package(found, "push-client"),
        "schedule": found["schedule"],
        "minute": own,
        "hours": clock,
        "settings": written,
        # What the unit's limits would be in the way of.
        "commands": any(given.get(word) for word in ("before", "dump", "after")),
        "timer": f"[Timer]\nOnCalendar=\nOnCalendar=*-*-* {clock}:{own:02}:00\nPersistent=true\nRandomizedDelaySec=0\n",
    }


def _called(found, host):
    if host not in found["rendezvous"]["hosts"]:
        raise Refused(f"pillar firn:rendezvous:hosts: {host} is not among them, and is called a rendezvous-host")
    return found["rendezvous"]["hosts"][host]


def rendezvous_host():
    """What lets the server open its one port on a host that may call nobody. `words` is for a command line: checked, without a blank or a sign of the shell."""
    found = __salt__["firn.settings"](__pillar__)
    host = __salt__["firn.id_of"](__grains__["id"], socket.gethostname(), found)
    if found["rendezvous"]["server_key"] is None:
        raise Refused("pillar firn:rendezvous:server_key: the public half of the server's /etc/firn/rendezvous/key_ed25519")
    port, source = _called(found, host)["listen"], found["rendezvous"]["server_from"]
    return {
        "key": found["rendezvous"]["server_key"] + "\n",
        "port": f"--port {port}",
        "from": f" --from {source}" if source else "",
    }


def rendezvous_server():
    """What the server needs to call its hosts: for each a file, and one file of their host keys."""
    hosts = __salt__["firn.settings"](__pillar__)["rendezvous"]["hosts"]
    files = {host: f"ADDRESS={one['address']}\nPORT={one['port']}\nLISTEN={one['listen']}\n" for host, one in sorted(hosts.items())}
    return {"files": files, "known_hosts": "".join(f"{host} {one['host_key']}\n" for host, one in sorted(hosts.items()))}


def server():
    """All that the state of the backup server needs."""
    masters = salt_masters()
    if masters:
        raise Refused(f"a Salt master runs on this machine ({masters[0]}): it is root on every host, and the backup server must reach none")
    found = __salt__["firn.settings"](__pillar__)
    if found["server"]["minion"] not in (None, __grains__["id"]):
        raise Refused("pillar firn:server:minion names another machine as the backup server")
    lines = []
    for address in found["server"]["listen"]:
        # With the port in it, no other Port= counts, wherever it stands.
        shape = "[{}]:{}" if ":" in address else "{}:{}"
        lines.append("ListenAddress " + shape.format(address, found["server"]["port"]))
    settings = {**found["server"]["settings"], **FOLDERS, "hours": found["hours"]}
    return {
        "package": _package(found, "backup-server"),
        "settings": __salt__["firn.toml"](settings),
        "listen": "\n".join(lines) + "\n",
        # What is taken from appliances is read by push-client.
        "appliances": _package(found, "push-client") if found["server"]["appliances"] else None,
    }


def with_files(role, record=CREDENTIALS):
    """
    What the states iceboxer and drill-host need: their settings, certificates and credentials; and of the credentials that Salt put there earlier (`record`),
    those that the pillar no longer names. What a person brought is in no record, and stays.
    """
    found = __salt__["firn.settings"](__pillar__)
    given = found["ice" if role == "iceboxer" else "drill"]
    if not given["settings"]:
        raise Refused(f"pillar firn:{'ice' if role == 'iceboxer' else 'drill'}:settings is empty")
    return {
        "package": _package(found, role),
        "settings": __salt__["firn.toml"](given["settings"]),
        "files": given["files"],
        "credentials": sorted(given["credentials"]),
        "gone": sorted(set(_recorded(record)) - set(given["credentials"])) if role == "iceboxer" else [],
    }


def _recorded(record):
    try:
        with open(record, encoding="utf-8") as file:
            lines = file.read(JSON_MAX).splitlines()
    except FileNotFoundError:
        return []
    return [__salt__["firn.credential"](line, record) for line in lines if not line.startswith("#")]


def salt_masters(proc="/proc", units="/etc/systemd/system"):
    """Traces of a Salt master on this machine: processes, and units that will start one."""
    traces = []
    for number in sorted(name for name in os.listdir(proc) if name.isdigit()):
        try:
            with open(os.path.join(proc, number, "cmdline"), "rb") as file:
                words = file.read(4096).replace(b"\0", b" ").split()
        except OSError:
            continue
        if any(word.rsplit(b"/", 1)[-1] == b"salt-master" for word in words[:4]):
            traces.append(f"process {number}")
    for folder in sorted(os.listdir(units)) if os.path.isdir(units) else []:
        if folder.endswith(".wants") and os.path.lexists(os.path.join(units, folder, "salt-master.service")):
            traces.append(f"unit salt-master.service in {folder}")
    return traces


def sshd_lines(version):
    """What this sshd knows and older ones do not, for its `OpenSSH_9.2p1 ...`."""
    known = re.match(r"OpenSSH_([0-9]{1,3})\.([0-9]{1,3})", version if type(version) is str else "")
    if not known:
        raise Refused("the version of sshd cannot be told")
    have = (int(known.group(1)), int(known.group(2)))
    return "".join(f"{line}\n" for least, lines in NEWER if have >= least for line in lines)
