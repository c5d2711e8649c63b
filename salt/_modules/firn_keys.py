"""
The keys of this machine: made here, once, and never shown. Only public halves leave, through the Mine.

`push` is for hosts and `server` for the backup server; both are functions for the Mine. `begin`, `finish` and `cancel` change a key for a new one. This
module never prints a private key, and never overwrites one with a new one.
"""

import os
import shutil
import socket
import tempfile

try:
    from salt.exceptions import CommandExecutionError as Refused
except ImportError:

    class Refused(Exception):
        """Something is not as it must be; nothing was changed."""


PUSH = "/etc/firn/push_ed25519"
SERVER = "/etc/firn/ssh_host_ed25519_key"
NEXT = ".next"
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
            handle = os.open(made, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
            try:
                # Unlike a rename, a link never replaces what is there.
                os.link(made, path)
            except FileExistsError:
                pass
        finally:
            shutil.rmtree(here)
    public = _public(path)
    beside = path + ".pub"
    if not os.path.exists(beside) or open(beside, encoding="utf-8", errors="replace").read() != public + "\n":
        _write(beside, public + "\n", 0o644)
    return public


def _published(path, mode):
    following = path + NEXT
    return _public(following) if os.path.lexists(following) else _make(path, mode)


def _addresses(found):
    """What the pillar names, else what the machine has for others to see."""
    if found["push"] and found["push"]["from"]:
        return found["push"]["from"]
    own = []
    for address in list(__grains__.get("ipv4", [])) + list(__grains__.get("ipv6", [])):
        try:
            own.append(__salt__["firn.address"](address))
        except Refused:
            continue
    if not 0 < len(own) <= 16:
        raise Refused(f"this machine has {len(own)} addresses: name those that it pushes from in pillar firn:push:from")
    return __salt__["firn.ascending"](own)


def make():
    """Makes this host's key if there is none, and gives its public half."""
    return _make(PUSH, 0o400)


def push():
    """For the Mine: this host's id, the public half of its key, and the addresses it pushes from. Makes the key if there is none."""
    found = __salt__["firn.settings"](__pillar__)
    host = __salt__["firn.id_of"](__grains__["id"], socket.gethostname(), found)
    return {"host": host, "key": _published(PUSH, 0o400), "from": _addresses(found)}


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
    public = _make(path + NEXT, mode)
    return {"key": public}


def finish(which="push"):
    """Takes the new key into use. A host first tries it on the server; if that does not take it, the old one stays and the call fails."""
    path, mode = _which(which)
    if not os.path.lexists(path + NEXT):
        return {"key": _make(path, mode), "changed": False}
    if which == "push":
        _try(path + NEXT)
    os.replace(path + NEXT, path)
    if os.path.lexists(path + NEXT + ".pub"):
        os.unlink(path + NEXT + ".pub")
    return {"key": _make(path, mode), "changed": True}


def _try(private):
    """Asks the server with the new key, by a copy of the settings that names it."""
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
    if done["retcode"] not in (0, 3, 10, 11, 13, 14, 16):
        raise Refused(f"the server does not take the new key (push-client check ended with {done['retcode']}); the old one stays")


def cancel(which="push"):
    """Forgets the new key. The one in use stays."""
    path, _ = _which(which)
    gone = [name for name in (path + NEXT, path + NEXT + ".pub") if os.path.lexists(name)]
    for name in gone:
        os.unlink(name)
    return {"removed": gone}
