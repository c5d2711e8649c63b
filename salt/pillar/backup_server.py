"""External pillar: which of several backup servers a host pushes to.

Rendezvous hashing: each pair of host and server gets a number, and the server with the highest one takes the host. Nothing is stored
and nobody is asked, so all masters agree. A server that is added takes its share of the hosts and moves no others; one that is removed gives
up its own, and only these move.

On the master, in a file of /etc/salt/master.d:

    ext_pillar:
      - backup_server:
          servers:
            backup1: {address: backup1.example.org}
            backup2: {address: backup2.example.org}
            backup3: {address: backup3.example.org, weight: 2}      # twice the disk, twice the hosts

The names are the servers' minion ids. A host gets the pillar backup_server and, for the formula, firn:server:minion and :address; a server gets
firn:server:minions, which lets it see its own hosts in the Mine and no others. A minion's pillar is the master's word: no host can choose.
What is decided here is decided for years: docs/scaling.md says what a move costs.
"""

import hashlib
import math
import re

SERVERS_MAX = 1000
NAME_BYTES_MAX = 255
# The golden values of salt/tests hold this: with another one, every host moves.
_PERSON = b"firn-server"
# What stands in a compound match must be one word.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def ext_pillar(minion_id, pillar, servers):
    """What Salt's master calls for each minion."""
    del pillar
    known = _known(servers)
    if minion_id in known:
        own = {"minion": minion_id, "address": known[minion_id][0], "minions": "I@backup_server:" + minion_id}
        return {"firn": {"server": own}}
    name = server_of(minion_id, {server: weight for server, (_, weight) in known.items()})
    return {"backup_server": name, "firn": {"server": {"minion": name, "address": known[name][0]}}}


def server_of(host, servers):
    """The name of the server that takes the host; servers is a dictionary of names and weights."""
    if not isinstance(servers, dict) or not 1 <= len(servers) <= SERVERS_MAX:
        raise ValueError("servers must be 1 to {} names".format(SERVERS_MAX))
    # The name decides between equal scores, so that the order of the dictionary never does.
    return max((_score(host, server, weight), server) for server, weight in servers.items())[1]


def _known(servers):
    """Address and weight of each server; the mistakes of whoever wrote the list are named."""
    if not isinstance(servers, dict):
        raise ValueError("backup_server: servers must be a table of minion ids")
    known = {}
    for name, about in servers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("backup_server: not the id of a minion: {!r}".format(name))
        if not isinstance(about, dict) or not set(about) <= {"address", "weight"} or not isinstance(about.get("address"), str):
            raise ValueError("backup_server: {} must have an address, may have a weight, and nothing else".format(name))
        known[name] = (about["address"], about.get("weight", 1))
    return known


def _score(host, server, weight):
    """In proportion to the weight, the chance that this score is the highest of all."""
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight <= 1e6:
        raise ValueError("the weight of {!r} must be a number above 0, at most 1000000".format(server))
    # A byte that is in no name keeps the two apart.
    draw = hashlib.blake2b(_bytes(host) + b"\0" + _bytes(server), person=_PERSON, digest_size=8)
    # 52 bits and a half are exact as a float, and neither 0 nor 1.
    share = ((int.from_bytes(draw.digest(), "big") >> 12) + 0.5) / 2**52
    return -weight / math.log(share)


def _bytes(name):
    if not isinstance(name, str) or "\0" in name or not 0 < len(name.encode("utf-8")) <= NAME_BYTES_MAX:
        raise ValueError("not a name: {!r}".format(name))
    return name.encode("utf-8")
