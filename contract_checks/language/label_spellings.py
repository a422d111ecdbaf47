"""Usual spellings of a clause's label other than the form's own, by clause ID.

They are separated by bars. A spelling means the same as its label whatever the value, and one
clause of a section alone.
"""

_SPELLINGS = {
    "§1 feature name": "name | feature | feature group | feature set | feature view",
    "§1 version": "contract version | feature version",
    "§1 status": "state | lifecycle | lifecycle status",
    "§1 owner": "owner team | owning team | owned by | feature owner | team",
    "§1 steward": "backup | data steward | deputy | backup owner | backup / steward",
    "§1 business purpose": "purpose | business value | why | why it exists | business goal",
    "§1 model": "models | models / use cases | use cases | use case | used by | model / use case",
    "§2 primary entity": "entity",
    "§2 join keys": "join key | key | keys | entity key | entity keys",
    "§2 key uniqueness expectation": "key uniqueness | uniqueness | uniqueness of keys",
    "§2 join type": "join | type of join",
    "§2 join failure policy": (
        "join failure | on join failure | no match | on no match | no match policy | when no match"
        " | unmatched rows | unmatched entities | if no match | if the join fails | join fails"
    ),
    "§2 expected match rate": "match rate | minimum match rate | match rate expectation",
    "§2 fanout": (
        "fanout policy | fan out | fan out policy | fan out / duplication policy | duplicates"
        " | fan out / duplicates | fanout / duplicates | duplication policy | duplicate policy"
        " | duplicate records | duplicate handling"
    ),
    "§3 event timestamp field": (
        "event timestamp | event time | event time field | event timestamp column | timestamp"
        " | timestamp field | timestamp column | event time column"
    ),
    "§3 timestamp timezone": "timezone | time zone | timestamp time zone | event timezone",
    "§3 point-in-time correctness": "point in time | point in time joins | pit correctness",
    "§3 lookback window": (
        "lookback | look back | look back window | lookback period | look back period | window"
    ),
    "§3 allowed lateness": (
        "lateness | late data | late events | late arrivals | late arrival | maximum lateness"
        " | max lateness | allowed late data"
    ),
    "§3 leakage guardrails": (
        "leakage | leakage guardrail | leakage protection | leakage prevention | leakage rules"
        " | leakage safeguards | data leakage"
    ),
    "§4 source system": "source systems | source | sources | source table | source tables | tables",
    "§4 source owner": "owner of the source | source team | owner of source",
    "§4 refresh cadence": (
        "refresh | cadence | refresh frequency | refresh schedule | refresh rate | update cadence"
        " | update frequency | schedule | refreshed"
    ),
    "§4 upstream dependencies": (
        "upstream | upstream dependency | dependencies | upstream jobs | upstream job | depends on"
    ),
    "§4 lineage link": "lineage | lineage url | link to lineage",
    "§5.1 definition": "description | logic | business definition | feature definition | in words",
    "§5.1 aggregation": "aggregations | aggregation window | aggregation logic",
    "§5.1 filters": "filter | population | row filter | row filters",
    "§5.1 dedup rules": (
        "dedup rule | deduplication rules | deduplication | dedup | deduplication rule"
    ),
    "§5.1 edge cases": "edge case | corner cases | special cases",
    "§5.2 data type": "type | data types | datatype | types",
    "§5.2 units": "unit | unit of measure | units of measure",
    "§5.2 nullable": "nullability | nulls | nulls allowed | null allowed",
    "§5.2 default value": "default | default values | defaults",
    "§5.2 allowed range": (
        "allowed ranges | allowed values | allowed ranges / values | range | ranges | valid range"
        " | valid ranges | value range | value ranges | valid values"
    ),
    "§6 completeness": "null rate | missing values | maximum null rate | max null rate | nulls",
    "§6 validity": "valid values | valid range",
    "§6 uniqueness": "unique records | record uniqueness | duplicates",
    "§6 consistency": "cross field consistency | consistency rules | consistency checks",
    "§6 outliers": "outlier | outlier handling | outlier policy",
    "§6 freshness": "freshness sla | staleness | maximum age | max age | feature age | age",
    "§6 cardinality checks": "cardinality | cardinality check | join cardinality",
    "§7 baseline window": "baseline | baseline period | reference window | reference period",
    "§7 drift metrics": "drift metric | metric | metrics | drift measure | drift measures",
    "§7 thresholds": "threshold | drift thresholds | drift threshold",
    "§7 warn": (
        "warning | warn at | warning threshold | warn threshold | warning at | threshold warn"
        " | thresholds warn"
    ),
    "§7 fail": (
        "fail / block | block | block promotion | fail at | fail threshold | failure | block at"
        " | block threshold | failure threshold | critical | fail promotion | threshold fail"
        " | fail / block promotion threshold | threshold fail / block promotion"
        " | thresholds fail | thresholds fail / block promotion"
    ),
    "§7 semantic drift checks": "semantic drift | semantic drift check | semantic checks",
    "§7 join drift checks": "join drift | join drift check | join checks",
    "§7 alert routing": (
        "alerts | alerting | alert channel | alert route | alerts to | alerts go to"
    ),
    "§8 offline computation path": "offline path | offline table | offline store | offline",
    "§8 online computation path": (
        "online path | online table | online store | online view | online feature view | online"
    ),
    "§8 parity required": "parity | parity is required",
    "§8 shadow compare enabled": "shadow compare | shadow comparison | shadow comparison enabled",
    "§8 acceptable delta": (
        "tolerance | delta | acceptable difference | allowed delta | maximum delta | max delta"
    ),
    "§9 data classification": "classification | data class | sensitivity",
    "§9 pii": (
        "pii present | pii / phi | phi present | personal data | personal data present | phi"
        " | contains pii | contains pii / phi"
    ),
    "§9 masking": "tokenization | tokenisation | pseudonymization | masking / tokenisation",
    "§9 retention policy": "retention | retention period | data retention",
    "§9 approved consumers": "consumers | consumer | approved users | approved teams | used by",
    "§9 audit requirements": (
        "audit | audits | audit requirement | access review | access reviews | audit frequency"
    ),
    "§10 served versions immutable": (
        "immutable | immutability | served versions are immutable | immutable versions"
        " | served version immutable | versions immutable"
    ),
    "§10 breaking changes require new version": (
        "breaking changes | breaking change | breaking changes need new version"
        " | breaking changes require a new version | breaking changes need a new version"
        " | breaking change requires new version | breaking change = new version"
        " | breaking changes → new version | breaking change → new version"
    ),
    "§10 deprecation plan": "deprecation | deprecation policy | sunset | sunset plan",
    "§10 rollback plan": "rollback | roll back | rollback procedure | rollback policy",
    "§10 changelog": "change log | history | releases | release history | release notes",
    "§11 unit tests": "unit test | unit testing",
    "§11 backfill validation": "backfill | backfill test | backfill check | backfill comparison",
    "§11 canary materialization": "canary | canary run | canary materialisation",
    "§11 shadow reads": "shadow read",
    "§11 performance tests": "performance | performance test | load test | load tests | latency",
    "§12 data owner approval": "data owner | data owner sign off | approved by data owner",
    "§12 ml owner approval": (
        "ml owner | ml owner sign off | model owner | model owner approval | approved by ml owner"
    ),
    "§12 platform approval": (
        "platform | platform sign off | platform team | platform team approval | platform owner"
    ),
}
ALSO_SPELLED = {
    clause: tuple(spelling.strip() for spelling in spellings.split("|"))
    for clause, spellings in _SPELLINGS.items()
}
