"""Whose a hash of Redis is: several projects may share a server, and a name is compared whole.

Feast names a hash by its entity's key and then its project, and scans for names that *end* in a
project: of `feature_store` those of `eu_feature_store` do too. A serialized key tells its own
length, so what follows it is the project, and that alone.
"""

import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from feast import RepoConfig

_COUNT, _PART = struct.Struct("<I"), struct.Struct("<II")
_SCANNED, _AT_ONCE = 10_000, 1_000


def own_projects(config: RepoConfig) -> tuple[str, str]:
    """The project and the one that its canary materializations are made in."""
    return config.project, f"{config.project}_canary"


def project_of(name: bytes) -> str | None:
    """The project that a hash's name ends in; None for a name that Feast (key version 3) gave not.

    A key is how many join keys it has, then each of them and each value: its type, its length and
    its bytes (feast 0.67, `serialize_entity_key`).
    """
    try:
        (join_keys,) = _COUNT.unpack_from(name)
        end = _COUNT.size
        for _ in range(2 * join_keys):
            _, length = _PART.unpack_from(name, end)
            end += _PART.size + length
        return name[end:].decode() if end < len(name) else None
    except (struct.error, UnicodeDecodeError):
        return None


def names_in(client: Any, projects: Collection[str], beginning: bytes = b"") -> Iterator[bytes]:
    """The hashes of entities in those projects, those of heartbeats included; perhaps one twice."""
    endings = tuple(project.encode() for project in projects)
    for name in client.scan_iter(count=_SCANNED):
        # Told by the ends first: most names of another project differ there.
        if name.endswith(endings) and name.startswith(beginning) and project_of(name) in projects:
            yield name


def answered(
    client: Any, names: Iterable[bytes], ask: Callable[[Any, bytes], Any]
) -> Iterator[tuple[bytes, Any]]:
    """Each name with what Redis answers of it; `ask` queues one command in a pipeline."""
    remaining = iter(names)
    while chunk := list(islice(remaining, _AT_ONCE)):
        pipe = client.pipeline(transaction=False)
        for name in chunk:
            ask(pipe, name)
        yield from zip(chunk, pipe.execute(), strict=True)
