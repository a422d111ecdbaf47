"""Put two versions' promotions on record and let the second one serve: `both_promoted.py TIME`."""

import sys
from datetime import datetime
from pathlib import Path

from next_version import DOCUMENT, NEXT_DOCUMENT, V1, V2

from contract_checks.language.loader import load
from feature_access.registry import open_store
from jobs.release.pointer_moves import move


def main() -> None:
    store, at = open_store(Path()), datetime.fromisoformat(sys.argv[1])
    for document, view in ((DOCUMENT, V1), (NEXT_DOCUMENT, V2)):
        move(store, load(document), "promotion", view, at, {"receipt": "none: for a test"})


if __name__ == "__main__":
    main()
