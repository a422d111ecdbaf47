"""Comparisons as people spell them, each with its one sign."""

from contract_checks.language.numbers import COUNTS, NUMBER

_COUNT = rf"\b(?:{'|'.join(COUNTS)})"
_NOT_BE = r"\b(?:(?:can't|can ?not|may not|must not) be|(?:(?:is|are|may be) )?never)"
SYMBOLS = (
    (r"\bat or (?:above|over)(?= [0-9])|\bequal to or (?:above|more than)(?= [0-9])", "≥"),
    (r"\bat or (?:below|under)(?= [0-9])", "≤"),
    (rf"{_NOT_BE} (?:more|greater|higher|larger) than\b", "≤"),
    (rf"{_NOT_BE} (?:less|fewer|lower|smaller) than\b", "≥"),
    (r">=|\bat least\b|\b(?:no|not) (?:less|fewer) than\b|\bgreater than or equal to\b", "≥"),
    (r"<=|\bat most\b|\b(?:no|not) (?:more|older|greater) than\b|\bless than or equal to\b", "≤"),
    (r"\b(?:(?:must|may|should|does) )?(?:not|never) exceeds?\b|\bcannot exceed\b", "≤"),
    (r"\b(?:min(?:imum)?(?: of)?|not (?:below|under))(?= [0-9])", "≥"),
    (r"\b(?:up to|within|max(?:imum)?(?: of)?|not (?:above|over))(?= [0-9])", "≤"),
    (r"\b(?:below|under|less than|lower than|fewer than)(?= [0-9])", "<"),
    (r"\b(?:better|more|greater|higher) than(?= [0-9.]+ ?%)", ">"),
    (rf"({NUMBER} ?(?:%|per ?cent)) min(?:imum)?$", r"≥ \1"),
    (rf"({NUMBER} ?(?:%|[a-z]+)?) max(?:imum)?$", r"≤ \1"),
    (rf"({NUMBER}(?: ?%| ?per ?cent)?|{_COUNT}) or (?:more|higher|better|above)\b", r"≥ \1"),
    (rf"({NUMBER} ?(?:%|[a-z]+)?) or (?:less|fewer|lower|below|under)\b", r"≤ \1"),
    (r"\bnot be negative\b|\bnon-negative\b", "≥ 0"),
    *(("==", "="), ("−", "-")),
)
