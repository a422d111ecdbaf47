"""§5.2, §6: do the offline values keep to what the document allows?"""

from collections.abc import Iterator

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence, Table
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.terms import SQL, Range


def _row_key(contract: Contract) -> tuple[str, ...]:
    """What a row of the offline table is found by."""
    return (*contract.entity.join_keys, contract.time.event_timestamp)


def _rows_where_not(
    contract: Contract, table: Table, rule: str, expected: str, columns: tuple[str, ...]
) -> Verdict:
    """No row may break the rule (SQL); null breaks none, completeness judges it."""
    shown = (*_row_key(contract), *columns)
    broken = table.count(f"NOT ({rule})")
    return Verdict(
        broken == 0,
        expected,
        f"{broken:,} of {table.count():,} rows break it",
        broken,
        table.sample(f"NOT ({rule})", shown) if broken else (),
    )


def _spell(allowed: Range) -> str:
    low, high = allowed.minimum, allowed.maximum
    sides = f"{'…' if low is None else f'{low:,g}'}–{'…' if high is None else f'{high:,g}'}"
    excluded = [f"{bound:,g}" for operator, bound in allowed.bounds if operator in "<>"]
    return f"{sides} without {' and '.join(excluded)}" if excluded else sides


def _stored_features(contract: Contract, evidence: Evidence) -> tuple[str, ...]:
    # A column that is not there is the schema check's finding, not everyone's.
    stored = evidence.offline.history.columns
    return tuple(feature for feature in contract.features if feature in stored)


def _numeric_features(contract: Contract, evidence: Evidence) -> tuple[str, ...]:
    stored = evidence.offline.history.columns
    return tuple(
        feature
        for feature in _stored_features(contract, evidence)
        if stored[feature] not in ("VARCHAR", "BOOLEAN")
    )


@check("§5.2 allowed range", held_in="offline")
def values_are_in_range(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Every stored value lies in its feature's allowed range."""
    stored = evidence.offline.history.columns
    for feature, allowed in contract.definition.allowed.items():
        if feature not in stored:
            continue
        if isinstance(allowed, Range):
            rule = " AND ".join(
                f'"{feature}" {SQL[operator]} {bound:.17g}' for operator, bound in allowed.bounds
            )
            expected = f"{feature} in {_spell(allowed)}"
        else:
            listed = ", ".join("'" + value.replace("'", "''") + "'" for value in allowed.values)
            rule = f'"{feature}" IN ({listed})'
            expected = f"{feature} one of {', '.join(allowed.values)}"
        yield _rows_where_not(contract, evidence.offline.history, rule, expected, (feature,))


@check("§6 completeness", held_in="offline")
def null_rate_is_low(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The share of nulls in each feature's column is within the limit."""
    history = evidence.offline.history
    rows = history.count()
    yield Verdict(rows > 0, "the offline table has rows", f"{rows:,} rows")
    for column in (c for c in _row_key(contract) if c in history.columns):
        absent = history.count(f'"{column}" IS NULL')
        yield Verdict(absent == 0, f"every row has its {column}", f"{absent:,} have none", absent)
    for feature in _stored_features(contract, evidence):
        nulls = history.count(f'"{feature}" IS NULL')
        rate, most = nulls / rows if rows else 0.0, contract.null_rate_of(feature)
        yield Verdict(
            rate <= most,
            f"null rate of {feature} ≤ {most:.2%}",
            f"{rate:.2%}",
            nulls,
            history.sample(f'"{feature}" IS NULL', (*_row_key(contract), feature)),
        )


@check("§6 validity", held_in="offline")
def values_are_not_too_small(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """No numeric feature falls below the least valid value, and none is NaN or infinite."""
    least = contract.quality.minimum_value
    for feature in _numeric_features(contract, evidence):
        rule = f'"{feature}" >= {least:.17g} AND isfinite(CAST("{feature}" AS DOUBLE))'
        expected = f"{feature} a number ≥ {least:,g}"
        yield _rows_where_not(contract, evidence.offline.history, rule, expected, (feature,))


@check("§6 uniqueness", held_in="offline")
def one_record_per_key(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """At any instant a key has one record: (join key, event timestamp) is unique."""
    duplicates = evidence.offline.duplicates
    time = contract.time.event_timestamp
    count = duplicates.count()
    yield Verdict(
        count == 0,
        f"({', '.join((*contract.quality.unique_per, time))}) unique",
        f"{count:,} keys stand there more than once",
        count,
        duplicates.sample("true", (*contract.entity.join_keys, time, "rows")),
    )


@check("§6 consistency", held_in="offline")
def features_agree(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The relations between features hold in every row."""
    stored = evidence.offline.history.columns
    for rule in contract.quality.consistency:
        if rule.left in stored and rule.right in stored:
            yield _rows_where_not(
                contract,
                evidence.offline.history,
                f'"{rule.left}" {SQL[rule.operator]} "{rule.right}"',
                f"{rule.left} {rule.operator} {rule.right}",
                (rule.left, rule.right),
            )


@check("§6 outliers", held_in="offline, operations")
def outliers_are_flagged(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The last refresh flagged every value above the percentile; such values break nothing.

    The percentile is that of the rows stamped in the look-back window before the refresh.
    """
    history, promised = evidence.offline.history, contract.quality.outliers
    if promised.action != "flag":
        raise MissingEvidence(f"outliers that are {promised.action}ped cannot be measured yet")
    evidence.operations.last("refresh", contract.view_name)  # says so where there is none
    passed = [r for r in evidence.operations.of("refresh", contract.view_name) if r.passed]
    if not passed:
        raise MissingEvidence("no refresh on record passed: run scripts/refresh.py")
    refresh = passed[-1]
    flagged = refresh.figures.get("outliers", {})
    stamp, begins = f'"{contract.time.event_timestamp}"', refresh.at - contract.time.lookback
    known = (
        f"{stamp} > TIMESTAMPTZ '{begins.isoformat()}' "
        f"AND {stamp} <= TIMESTAMPTZ '{refresh.at.isoformat()}'"
    )
    for feature in _numeric_features(contract, evidence):
        share = f"{promised.percentile / 100:.17g}"
        bound = history.value(f'quantile_cont("{feature}", {share}) FILTER (WHERE {known})')
        above = f"{known} AND \"{feature}\" > CAST('{bound}' AS DOUBLE)"
        rows = history.count(above) if bound is not None else 0
        noted = flagged.get(feature)
        told = "none" if bound is None else f"{float(str(bound)):.6g}"
        yield Verdict(
            noted == rows,
            f"{feature} above its {promised.percentile:g}th percentile ({told}) flagged",
            f"{rows:,} rows above it, {'none' if noted is None else f'{noted:,}'} flagged",
            rows,
            history.sample(above, (*_row_key(contract), feature)) if rows else (),
        )
