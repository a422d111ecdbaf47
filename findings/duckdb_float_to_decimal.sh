#!/usr/bin/env bash
# DuckDB 1.4.5 makes a decimal of a float by a product of floats, and a decimal of a text with an
# exponent by a rule that rounds up whatever ends in a 5 or more, however small it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q duckdb==1.4.5
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from decimal import Decimal

import duckdb

print("DuckDB", duckdb.__version__)
changed = False
for query, comes_out, exact in [
    ("16777216::FLOAT::DECIMAL(38, 12)", "16777215.931280523264", "16777216"),
    ("16777216.1::DOUBLE::DECIMAL(38, 12)", "16777216.100000002048", "16777216.1"),
    ("'7e-20'::DECIMAL(18, 2)", "0.01", "0.00"),
    ("'5e-324'::DECIMAL(38, 12)", "1E-12", "0"),
]:
    ((got,),) = duckdb.sql(f"SELECT {query}").fetchall()
    print(f"{query:38} {got}, exactly {exact}")
    changed |= got != Decimal(comes_out)
sys.exit(changed)
PYTHON
