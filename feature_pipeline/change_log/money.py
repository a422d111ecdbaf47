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
_FLOAT = "CAST(order_value AS DOUBLE)"
IS_NO_NUMBER = f"isnan({_FLOAT})"
_IS_FLOAT = "typeof(order_value) IN ('FLOAT', 'DOUBLE')"
_AS_WRITTEN = f"CAST({_FLOAT} AS VARCHAR)"
_CENTS = f"round({_FLOAT} * 100)"
IS_NO_AMOUNT = f"""
    CASE WHEN {_IS_FLOAT} THEN {IS_NO_NUMBER} OR order_value >= 1e26
    ELSE TRY_CAST(order_value AS {MONEY}) IS NULL END
"""
"""DuckDB's condition for a value that is not negative."""
MONEY_OF_ORDER_VALUE = f"""
    CASE
        WHEN NOT {_IS_FLOAT} THEN TRY_CAST(order_value AS {MONEY})
        WHEN {IS_NO_NUMBER} OR order_value >= 1e26 THEN NULL
        WHEN order_value < 5e-13 THEN 0
        WHEN order_value < 1000000 AND {_CENTS} / 100 = {_FLOAT}
            THEN CAST(CAST({_CENTS} AS DECIMAL(9, 0)) * 0.01 AS {MONEY})
        WHEN order_value < 1000000 THEN CAST(TRY_CAST({_AS_WRITTEN} AS DECIMAL(18, 12)) AS {MONEY})
        ELSE TRY_CAST({_AS_WRITTEN} AS {MONEY})
    END
"""
"""DuckDB's SQL for it; null where it is no amount."""
