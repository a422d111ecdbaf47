"""How an amount of money becomes an exact decimal: the same of every type, on every engine.

A float counts as the decimal that it is written as, in the fewest digits that name it, the way Java
and PostgreSQL write it; a float of 32 bits counts as the double that it is. What is finer than
10^-12 is rounded, half away from zero.
"""

# Wide enough for any amount of money, fine enough to hold every decimal a float can honestly carry.
MONEY = "DECIMAL(38, 12)"

# DuckDB 1.4.5 casts a float to a decimal by a product of floats: 16777216.1 comes out 2e-9 too
# large, of 32 bits 16777216 comes out a quarter too small. Its text is exact, and read into 64 bits
# where it fits. The bounds are asked for here, since a text of 1e26 becomes a decimal of 39 digits,
# and one of 5e-324 1e-12. Text takes seven times as long as the cast, so whole cents do without:
# of the decimals of at most 15 digits no two are one float, so what cents name is what is written.
# And NaN is asked for first: parquet's statistics leave it out, and DuckDB trusts them.
_ORDER_VALUE = "order_value"


def _is_float(column: str) -> str:
    return f"typeof({column}) IN ('FLOAT', 'DOUBLE')"


def is_no_number(column: str) -> str:
    """DuckDB's condition for a float that names none."""
    return f"isnan(CAST({column} AS DOUBLE))"


def money_of(column: str) -> str:
    """DuckDB's SQL for the amount in a column of numbers; null where it is no amount."""
    size, double = f"abs({column})", f"CAST({column} AS DOUBLE)"
    written, cents = f"CAST({double} AS VARCHAR)", f"round({double} * 100)"
    return f"""
        CASE
            WHEN NOT {_is_float(column)} THEN TRY_CAST({column} AS {MONEY})
            WHEN {is_no_number(column)} OR {size} >= 1e26 THEN NULL
            WHEN {size} < 5e-13 THEN 0
            WHEN {size} < 1000000 AND {cents} / 100 = {double}
                THEN CAST(CAST({cents} AS DECIMAL(9, 0)) * 0.01 AS {MONEY})
            WHEN {size} < 1000000 THEN CAST(TRY_CAST({written} AS DECIMAL(18, 12)) AS {MONEY})
            ELSE TRY_CAST({written} AS {MONEY})
        END
    """


IS_NO_NUMBER = is_no_number(_ORDER_VALUE)
IS_NO_AMOUNT = f"""
    CASE WHEN {_is_float(_ORDER_VALUE)} THEN {IS_NO_NUMBER} OR {_ORDER_VALUE} >= 1e26
    ELSE TRY_CAST({_ORDER_VALUE} AS {MONEY}) IS NULL END
"""
"""DuckDB's condition for a value that is not negative."""
MONEY_OF_ORDER_VALUE = money_of(_ORDER_VALUE)
"""DuckDB's SQL for it; null where it is no amount."""
