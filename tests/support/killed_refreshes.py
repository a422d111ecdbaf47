"""What a refresh that was killed has left."""

import re
from pathlib import Path


def without_version(path: Path, repository: Path) -> str:
    """A run that was killed leaves the number it would have had."""
    return re.sub(r"/0\d{8}(?=/|$)", "/version", str(path.relative_to(repository)))
