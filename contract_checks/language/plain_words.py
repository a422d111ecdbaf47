"""Words that a sentence may hold beside its terms, since they can change none of them.

Whatever else stands in a sentence is a promise that nobody reads ("on weekdays", "on average",
"for most customers"), so it makes the sentence unreadable. Each clause adds the names of what it
speaks of.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EVERYWHERE = _words("a an the of is are be must will to in for and it")
RECORDS = _words("record records row rows")
SEVERAL_RECORDS = RECORDS | _words(
    "if where has have more than single several multiple duplicate duplicates exist exists"
    " there keep kept select selected take taken use used"
)
FEATURES = _words(
    "feature features value values field fields number numbers numeric all every each any"
)
WINDOW = _words("window over sum sums count counts last past previous latest")
SPAN = _words("last past previous latest window rolling trailing")
RETENTION = _words("keep kept retain retained then delete deleted after")
BACKFILL = SPAN | _words(
    "backfill compare compared recompute recomputed replay replayed rerun validate validated"
    " stretch history historical lake with against baseline"
)
JOIN = _words("join match rate fan fanout out ratio")
SERVING = _words("latency error rate read reads serving online lookup look up")
ALERTS = _words("slack channel alert alerts page notify mail email")
DELTA = FEATURES | _words("difference across relative")
SUPPORT = _words(
    "support supported stay stays keep keeps run running go goes on out release released available"
)


def unread(text: str, names: frozenset[str]) -> str | None:
    """The first word of a text that is neither a plain word nor one of these names."""
    words = ("".join(c if c.isalnum() or c in "'’" else " " for c in text)).split()
    known = EVERYWHERE | names
    return next((word for word in words if word.lower() not in known), None)
