"""Which files below `data/` others on this machine may read: the stores hold identifiers."""

import stat
from collections.abc import Iterator
from pathlib import Path

_MEANT_FOR_OTHERS = ("README.md", "metrics")
"""A page without data, and figures for the node exporter, which is another user."""
_CLASSES = {
    "its group": (stat.S_IRGRP, stat.S_IXGRP),
    "everybody": (stat.S_IROTH, stat.S_IXOTH),
}


def exposed_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file that another user can open, and who that is; whole folders shut them all out.

    Judged by the modes from `folder` down; an access list that says more is not looked at.
    """
    if folder.is_dir():
        yield from _exposed(folder, frozenset(_CLASSES))


def _exposed(folder: Path, reaching: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """`reaching` may come as far as the folder."""
    mode = folder.stat().st_mode
    within = frozenset(who for who in reaching if mode & _CLASSES[who][1])
    for path in sorted(folder.iterdir()) if within else ():
        if path.name in _MEANT_FOR_OTHERS or path.is_symlink():
            continue  # a link leads to what stands by its own name
        if path.is_dir():
            yield from _exposed(path, within)
            continue
        readers = [who for who in within if path.stat().st_mode & _CLASSES[who][0]]
        if readers:
            yield path, min(readers)


def told_of_exposed(folder: Path) -> str | None:
    """One line that names the first of them and what to do; None where there is none."""
    found = list(exposed_files(folder))
    if not found:
        return None
    path, who = found[0]
    many = "1 file" if len(found) == 1 else f"{len(found):,} files"
    return (
        f"others can read {many} below {folder.name}/, such as {path.relative_to(folder)} "
        f"({who}): chmod -R go= {folder}"
    )
