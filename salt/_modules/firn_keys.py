"""
The keys of this machine: made here, once, and never shown. Only public halves leave, through the Mine.

`push` is for hosts and `server` for the backup server; both are functions for the Mine. `begin`, `finish` and `cancel` change a key for a new one, and
`settle` and `settle_server` bring to its end what was cut off in between. A key that the Mine may have is on this machine's disk: it is synced before the Mine
is told of it, and goes only after the Mine was told of another. This module never prints a private key, and never overwrites one with a new one.
"""

import glob
import ipaddress
import os
import shutil
import socket
import tempfile
import time

try:
    from salt.exceptions import CommandExecutionError as Refused
except ImportError:

    class Refused(Exception):
        """Something is not as it must be; nothing was changed."""


PUSH = "/etc/firn/push_ed25519"
SERVER = "/etc/firn/ssh_host_ed25519_key"
NEXT = ".next"
# A key that the Mine is no longer told of, and that the server may have all the same.
GIVEN_UP = ".given-up"
SETTINGS = "/etc/firn/push.toml"


def _run(*words):
    """A program by its words: there is no shell in between."""
    return __salt__["cmd.run_all"](list(words), python_shell=False, ignore_retcode=True)


def _keygen(*words):
    done = _run("ssh-keygen", *words)
    if done["retcode"] != 0:
        raise Refused(f"ssh-keygen failed: {done['stderr'][:200]}")
    return done["stdout"]


def _public(private):
    """The public half, computed from the private one: a file beside it might be another's."""
    found = os.lstat(private)
    if not os.path.isfile(private) or os.path.islink(private) or found.st_uid != 0 or found.st_mode & 0o077:
        raise Refused(f"{private} is not a file that only root can read")
    line = " ".join(_keygen("-y", "-P", "", "-f", private).split()[:2])
    return __salt__["firn.key"](line, f"public half of {private}")


def _write(path, text, mode):
    handle, new = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(new, mode)
    os.replace(new, path)


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def _make(path, mode):
    """Makes the key if there is none. Of two that do so at once, one wins, and both see its key."""
    folder = os.path.dirname(path)
    if not os.path.lexists(path):
        os.makedirs(folder, mode=0o755, exist_ok=True)
        here = tempfile.mkdtemp(dir=folder, prefix=".new-")
        try:
            made = os.path.join(here, "key")
            _keygen("-q", "-t", "ed25519", "-N", "", "-C", "", "-f", made)
            os.chmod(made, mode)
            _sync(made)
            try:
                # Unlike a rename, a link never replaces what is there.
                os.link(made, path)
            except FileExistsError:
                pass
            _sync(folder)
        finally:
            shutil.rmtree(here)
    public = _public(path)
    if _read(path + ".pub") != public + "\n":
        _write(path + ".pub", public + "\n", 0o644)
    return public


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except FileNotFoundError:
        return None


def _published(path, mode):
    following = path + NEXT
    return _public(following) if os.path.lexists(following) else _make(path, mode)


def _addresses(found, host):
    """What the pillar names, else the address that the kernel takes for a way to the server: one for each kind of address that the server has."""
    if found["push"] and found["push"]["from"]:
        return found["push"]["from"]
    server = found["server"]
    if server["address"] is None:
        raise Refused("pillar firn:server:address: where does this machine push to?")
    own = towards(server["address"], server["port"])
    if not own:
        raise Refused(f"this machine has no way to {server['address']}: name the addresses that it pushes from in pillar firn:push:from")
    passing = [address for address in own if address in temporary()]
    if passing and host not in server["from"]:
        raise Refused(
            f"this machine would push from {passing[0]}, which is temporary (net.ipv6.conf.*.use_tempaddr): switch that off, or name its network in pillar firn:server:from"
        )
    return __salt__["firn.ascending"](own)


def towards(address, port):
    """This machine's own addresses on the way there. A datagram socket that is connected sends nothing; it only has the kernel look up the way."""
    try:
        known = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise Refused(f"the address of {address} cannot be told: {error}") from error
    own = []
    for family, kind, protocol, _, there in known:
        try:
            with socket.socket(family, kind, protocol) as asked:
                asked.connect(there)
                here = __salt__["firn.address"](asked.getsockname()[0])
        except (OSError, Refused):
            # No way there by this kind of address, or none from an address that others see.
            continue
        if here not in own:
            own.append(here)
    return own[:16]


def temporary(table="/proc/net/if_inet6"):
    """Addresses that are given up for others by and by (IFA_F_TEMPORARY)."""
    lines = [line.split() for line in (_read(table) or "").splitlines()]
    return [str(ipaddress.IPv6Address(bytes.fromhex(words[0]))) for words in lines if len(words) == 6 and int(words[4], 16) & 1]


def make():
    """Makes this host's key if there is none, and gives its public half."""
    sweep()
    return _make(PUSH, 0o400)


def sweep(which="push"):
    """Removes what a call left that was killed: public halves alone, and files without a name. What another call makes just now is younger than a day."""
    path, _ = _which(which)
    for suffix in (NEXT, GIVEN_UP):
        if not os.path.lexists(path + suffix):
            _forget(path + suffix)
    for left in glob.glob(os.path.join(os.path.dirname(path), ".new-*")):
        if os.path.isdir(left) and os.lstat(left).st_mtime < time.time() - 86_400:
            shutil.rmtree(left)
        elif os.path.isfile(left) and os.lstat(left).st_mtime < time.time() - 86_400:
            os.unlink(left)


def push():
    """For the Mine: this host's id, the public half of its key, and the address it pushes from. Makes the key if there is none."""
    return _claim(lambda: _published(PUSH, 0o400))


def would_push():
    """The same of the key that is there; nothing on disk is changed. Raises what `push` would raise, also if there is no key."""
    return _claim(lambda: _public(PUSH + NEXT if os.path.lexists(PUSH + NEXT) else PUSH))


def _claim(key):
    found = __salt__["firn.settings"](__pillar__)
    host = __salt__["firn.id_of"](__grains__["id"], socket.gethostname(), found)
    return {"host": host, "key": key(), "from": _addresses(found, host)}


def server():
    """For the Mine: the public half of the key by which the backup server's sshd for pushes is known. None while there is no such sshd."""
    if not os.path.lexists(SERVER):
        return {}
    return {"host_key": _published(SERVER, 0o600)}


def _which(which):
    if which not in ("push", "server"):
        raise Refused("the key to change is `push` or `server`")
    return (PUSH, 0o400) if which == "push" else (SERVER, 0o600)


def begin(which="push"):
    """Makes the key that follows, beside the one in use. From now on the Mine tells of the new one; nothing else changes. Again: the same."""
    path, mode = _which(which)
    if not os.path.lexists(path):
        raise Refused(f"there is no {path} to change")
    if os.path.lexists(path + GIVEN_UP):
        state = "firn.push-client" if which == "push" else "firn.backup-server"
        raise Refused(f"{path + GIVEN_UP} is left of an earlier change: apply {state} first")
    public = _make(path + NEXT, mode)
    return {"key": public}


def finish(which="push"):
    """Takes the new key into use. A host first tries it on the server; if that does not take it, the old one stays and the call fails."""
    path, mode = _which(which)
    if not os.path.lexists(path + NEXT):
        if which == "push" and not _is_let_in(path):
            raise Refused("there is no new key, and the server does not let in the one in use: apply firn.backup-server there, or begin again")
        return {"key": _make(path, mode), "changed": False}
    if which == "push" and not _is_let_in(path + NEXT):
        raise Refused("the server does not take the new key; the old one stays")
    return {"key": _take(which, path + NEXT), "changed": True}


def _take(which, private):
    path, mode = _which(which)
    os.replace(private, path)
    _sync(os.path.dirname(path))
    sweep(which)
    return _make(path, mode)


def _forget(private):
    for name in (private, private + ".pub"):
        if os.path.lexists(name):
            os.unlink(name)


def _is_let_in(private):
    """Asks the server with this key, by a copy of the settings that names it."""
    with open(SETTINGS, encoding="utf-8") as file:
        text = file.read()
    if f'key = "{PUSH}"' not in text:
        raise Refused(f"{SETTINGS} does not name {PUSH}")
    handle, settings = tempfile.mkstemp(dir=os.path.dirname(SETTINGS), prefix=".new-", suffix=".toml")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text.replace(f'key = "{PUSH}"', f'key = "{private}"'))
        done = _run("push-client", "--config", settings, "check")
    finally:
        os.unlink(settings)
    # 10, 11, 13, 14 and 16: let in, and told to come again later.
    return done["retcode"] in (0, 3, 10, 11, 13, 14, 16)


def tell():
    """Sends the Mine what this machine publishes now; whether the master has it is not known by that."""
    # None: Salt was told of no function for the Mine, and sent nothing.
    if __salt__["mine.update"]() in (None, False):
        raise Refused("the Mine was sent nothing: does mine_functions in this minion's pillar have firn_keys.push (a backup server: firn_keys.server)? All keys stay")


def cancel(which="push"):
    """Forgets the new key, after the Mine was told of the one in use, which stays."""
    path, _ = _which(which)
    if os.path.lexists(path + NEXT):
        os.replace(path + NEXT, path + GIVEN_UP)
        _sync(os.path.dirname(path))
    if not os.path.lexists(path + GIVEN_UP):
        return {"removed": False}
    tell()
    _forget(path + NEXT)
    _forget(path + GIVEN_UP)
    return {"removed": True}


def unsettled(which="push"):
    """The keys beside the one in use: a change of keys was begun, and is not at its end."""
    path, _ = _which(which)
    return [path + suffix for suffix in (NEXT, GIVEN_UP) if os.path.lexists(path + suffix)]


def settle():
    """
    Brings a change of this host's key to its end, wherever it was cut off: the server says which of the keys it has, and that one stays. Without an answer
    to either, both stay. Gives what was done.
    """
    path, _ = _which("push")
    for private in unsettled():
        if _is_let_in(private):
            if private != path + NEXT:
                os.replace(private, path + NEXT)
            tell()
            return f"the server has the new key, which is in use now: {_take('push', path + NEXT)}"
    if not _is_let_in(path):
        raise Refused("a change of keys was begun, and the server lets in neither key, or does not answer; both stay")
    cancel()
    return "the server does not have the new key, which was given up"


def settle_server(pinned):
    """
    The same for the key of the server's sshd. `pinned` is what hosts are to know it by (`firn_fleet.pinned`): of the keys that are here, that one stays. If it
    is none of them, all stay.
    """
    path, _ = _which("server")
    for private in unsettled("server"):
        if _public(private) == pinned:
            return f"hosts pin the new key, which is in use now: {_take('server', private)}"
    if _public(path) != pinned:
        raise Refused("a change of the server's key was begun, and hosts pin neither key (pillar firn:server:host_key, else the Mine); both stay")
    for private in unsettled("server"):
        _forget(private)
    sweep("server")
    return "hosts do not pin the new key, which was given up"
