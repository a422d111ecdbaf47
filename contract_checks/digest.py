"""Digests: the same content, the same SHA-256, on any machine."""

import hashlib
import json
from pathlib import Path
from typing import Any


def digest_of(content: Any) -> str:
    """The digest of anything JSON holds, whatever the order of its keys."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
