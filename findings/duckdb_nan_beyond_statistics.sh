#!/usr/bin/env bash
# DuckDB 1.4.5 decides a comparison by a parquet column's statistics, which leave NaN out: in an
# expression over the file NaN is not greater than 1e26, in a table made of the file it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q duckdb==1.4.5 pyarrow==21.0.0
"$folder/venv/bin/python" - "$folder/amounts.parquet" <<'PYTHON'
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

print("DuckDB", duckdb.__version__)
pq.write_table(pa.table({"amount": [1.0, float("nan")]}), sys.argv[1])
asked = "SELECT CASE WHEN amount >= 1e26 THEN 'too large' ELSE 'an amount' END AS is"
of_the_file = duckdb.sql(f"{asked} FROM '{sys.argv[1]}'").fetchall()
duckdb.sql(f"CREATE TABLE amounts AS FROM '{sys.argv[1]}'")
of_the_table = duckdb.sql(f"{asked} FROM amounts").fetchall()
print("1 and NaN in the file:   ", of_the_file)
print("1 and NaN in the table:  ", of_the_table)
sys.exit((of_the_file[1], of_the_table[1]) != (("an amount",), ("too large",)))
PYTHON
