#!/bin/sh
# DuckDB: count_if of no rows is NULL in an ungrouped query, where count, and count with a FILTER,
# are 0. A job that reads the answer as a number fails on the first empty interval.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check duckdb==1.4.5
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb

print("duckdb", duckdb.__version__)
empty = "FROM (SELECT 1 AS value WHERE false)"
asked = {
    "count_if(value > 0)": None,
    "count(*) FILTER (value > 0)": 0,
    "count(value)": 0,
}
for expression, expected in asked.items():
    ((found,),) = duckdb.sql(f"SELECT {expression} {empty}").fetchall()
    print(f"{expression:<30} of no rows is {found}")
    assert found == expected, f"expected {expected}: the behaviour changed"
PYTHON
