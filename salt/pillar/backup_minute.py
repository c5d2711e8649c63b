"""
ext_pillar `backup_minute`: the minute at which a host pushes, unsigned crc32(host id) % 60, as `push-client schedule` has it.

The host id is what pillar `firn:ids` or `firn:id_from` says, as in the module `firn`, which checks on the host that both came to the same number. A
machine without a valid id gets no minute, and its log line here; other machines are not held up by it. This module reads nothing but its arguments.
"""

import logging
import re
import zlib
from collections.abc import Mapping

HOST_ID = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
HOST_ID_MAX = 63

log = logging.getLogger(__name__)


def minute(name):
    """The minute of a host id; none if it is no host id."""
    if type(name) is not str or len(name) > HOST_ID_MAX or not HOST_ID.fullmatch(name) or ".." in name or name in ("ice", "read"):
        return None
    return zlib.crc32(name.encode("ascii")) % 60


def named(minion, hostname, pillar):
    """The name that is hashed. Anything may come from the pillar and the grains here, so anything may come out."""
    firn = pillar.get("firn") if isinstance(pillar, Mapping) else None
    firn = firn if isinstance(firn, Mapping) else {}
    ids = firn.get("ids")
    name = hostname if firn.get("id_from") == "hostname" else minion
    return ids.get(minion, name) if isinstance(ids, Mapping) else name


def ext_pillar(minion_id, pillar, *_):
    """What Salt's master calls."""
    name = named(minion_id, __grains__.get("host") if isinstance(__grains__, Mapping) else None, pillar)
    found = minute(name)
    if found is None:
        log.info("firn: no host id, so no backup_minute, for minion %.100r", minion_id)
        return {}
    return {"backup_minute": found}
