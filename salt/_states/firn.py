"""
States of Firn: the key of a host, the hosts of a backup server, what its sshd is told.

All words of minions were checked by the modules `firn` and `firn_fleet` before they come here, and reach programs as arguments, never through a shell.
Accounts and jails are made by `snapshotter host add`, which is the one place that makes them.
"""

import os
import tempfile

try:
    from salt.exceptions import CommandExecutionError
except ImportError:

    class CommandExecutionError(Exception):
        """What the modules raise without Salt; never met with it."""


def _result(name, result, comment, changes=None):
    return {"name": name, "result": result, "comment": comment, "changes": changes or {}}


def _run(*words):
    return __salt__["cmd.run_all"](list(words), python_shell=False, ignore_retcode=True)


def key(name):
    """This host's own key is there, and the Mine was sent its public half. `name` is the private key's path."""
    there = os.path.lexists(name)
    if not there and __opts__["test"]:
        return _result(name, None, "a key would be made", {"key": "made"})
    try:
        # A dry run makes, sweeps and writes nothing, the file beside the key neither.
        if __opts__["test"]:
            __salt__["firn_keys.would_push"]()
            return _result(name, True, "there is a key")
        public = __salt__["firn_keys.make"]()
        # The Mine passes over a function that fails, and the server would never hear of this host.
        __salt__["firn_keys.push"]()
        # Each time: an address may be another since.
        __salt__["firn_keys.tell"]()
    except CommandExecutionError as error:
        return _result(name, False, str(error))
    if there:
        return _result(name, True, "there is a key, and the Mine was sent its public half")
    return _result(name, True, "a key was made, and the Mine was sent its public half", {"key": public})


def settled(name):
    """A change of this host's key is at its end, wherever it was cut off."""
    if not __salt__["firn_keys.unsettled"]():
        return _result(name, True, "no change of keys is under way")
    if __opts__["test"]:
        return _result(name, None, "a change of keys would be brought to its end", {"key": "settled"})
    try:
        done = __salt__["firn_keys.settle"]()
    except CommandExecutionError as error:
        return _result(name, False, str(error))
    return _result(name, True, done, {"key": done})


def _mine_of_server(function):
    return __salt__["mine.get"](__grains__["id"], function, tgt_type="list").get(__grains__["id"])


def server_settled(name):
    """The same for the key of the server's sshd: the one that hosts pin, by the pillar or by the Mine, stays."""
    if not __salt__["firn_keys.unsettled"]("server"):
        if not __opts__["test"]:
            __salt__["firn_keys.sweep"]("server")
        return _result(name, True, "no change of keys is under way")
    if __opts__["test"]:
        return _result(name, None, "a change of keys would be brought to its end", {"key": "settled"})
    try:
        done = __salt__["firn_keys.settle_server"](__salt__["firn_fleet.pinned"]())
    except CommandExecutionError as error:
        return _result(name, False, str(error))
    return _result(name, True, done, {"key": done})


def published(name):
    """The Mine has this backup server's key. `name` is the function that publishes it."""
    own = __salt__[name]()
    if not own:
        return _result(name, None if __opts__["test"] else False, "there is no sshd of Firn's with a key yet")
    known = lambda: _mine_of_server(name)
    if known() == own:
        return _result(name, True, "the Mine has the key")
    if __opts__["test"]:
        return _result(name, None, "the key would be published", {"mine": own})
    __salt__["mine.update"]()
    if known() != own:
        return _result(name, False, f"the Mine does not take it: is {name} among the mine_functions of this minion?")
    return _result(name, True, "the key was published", {"mine": own})


def _do(ended, host):
    if ended["retcode"] != 0:
        raise CommandExecutionError(f"{host}: snapshotter ended with {ended['retcode']}: {ended['stderr'][-400:]}")


def _add(host):
    handle, path = tempfile.mkstemp(dir="/run", prefix="firn-key-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(host["key"] + "\n")
        words = ["--key", path, "--from", ",".join(host["from"])]
        words += ["--hours", ",".join(str(hour) for hour in host["hours"]), "--known-as", host["known_as"]]
        words += [word for limit in host["limits"] for word in ("--limit", limit)]
        words += ["--appliance"] if host.get("appliance") else []
        return _run("snapshotter", "host", "add", host["host"], *words)
    finally:
        os.unlink(path)


def hosts(name):
    """
    Each host that the Mine tells of has its account, jail and key; of what the Mine tells, all or nothing is begun. Hosts that the pillar calls
    retired are locked out before that, so that no minion's word can hold it up. A host whose record cannot be read is left alone, and fails the state at its end.
    """
    if not __salt__["cmd.which"]("snapshotter"):
        return _result(name, None if __opts__["test"] else False, "snapshotter is not installed")
    done = {}
    try:
        if not __opts__["test"]:
            for host in __salt__["firn_fleet.retirements"]():
                _do(_run("snapshotter", "host", "retire", host), host)
                done[host] = "retired"
        asked = __salt__["firn_fleet.asked"]()
        notes = asked["notes"] + [f"{host} is left as it is: its record or key file cannot be read; see `snapshotter host list`" for host in asked["unread"]]
        if not asked["add"] and not asked["retire"]:
            return _result(name, not asked["unread"], "; ".join([f"{asked['same']} hosts are as they should be"] + notes), done)
        changes = {host["host"]: f"key and account of {host['known_as']}" for host in asked["add"]}
        changes.update({host: "retired" for host in asked["retire"]})
        if __opts__["test"]:
            return _result(name, None, "; ".join(notes), changes)
        for host in asked["add"]:
            _do(_add(host), host["host"])
            done[host["host"]] = changes[host["host"]]
    except CommandExecutionError as error:
        return _result(name, False, str(error), done)
    try:
        left = __salt__["firn_fleet.asked"]()
    except CommandExecutionError as error:
        return _result(name, False, str(error), done)
    if left["add"] or left["retire"]:
        names = ", ".join([host["host"] for host in left["add"]] + left["retire"])
        return _result(name, False, f"snapshotter did what it was asked, and still differs: {names}", done)
    return _result(name, not asked["unread"], "; ".join(notes), done)


def sshd(name, lines):
    """The file `name` tells Firn's sshd where it listens, and what only this version of it knows. sshd itself checks it before it counts."""
    version = _run("ssh", "-V")
    try:
        contents = lines + __salt__["firn_fleet.sshd_lines"](version["stderr"] or version["stdout"])
    except CommandExecutionError as error:
        return _result(name, None if __opts__["test"] else False, str(error))
    if not __opts__["test"]:
        # It is gone where the machine's own sshd was stopped, and then sshd judges nothing. Without systemd-tmpfiles, sshd says so itself.
        _run("systemd-tmpfiles", "--create", "--prefix=/run/sshd", "firn-server.conf")
    return __states__["file.managed"](
        name,
        contents=contents,
        user="root",
        group="root",
        mode="0644",
        makedirs=True,
        check_cmd="/usr/sbin/sshd -t -h /etc/firn/ssh_host_ed25519_key -f",
    )
