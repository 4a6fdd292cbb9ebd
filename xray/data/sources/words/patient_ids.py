"""The patient of a scan, from its file name.

Most names bear a patient: `person12_virus_44.jpeg`, `IM-0115-0001.jpeg`, `NORMAL2-IM-0421-0001.jpeg`. What a
number means there is documented nowhere, so three rules are kept. On the full public metadata they put 0, 170
and 264 patients on both sides of the official split. None is proven: scans are grouped by the rule that merges
most, and all three are reported.
"""

import re
from collections.abc import Sequence
from typing import Literal

Rule = Literal["cause", "person", "merged"]
RULES: tuple[Rule, ...] = ("cause", "person", "merged")
"""From the rule that merges least to the one that merges most: `cause` takes `personN` with its cause for a
patient and keeps NORMAL2 apart from IM, `person` takes `personN` alone, `merged` also joins NORMAL2 with IM."""

FOREIGN = "foreign"
SOURCES = ("IM", "NORMAL2", "person", FOREIGN)

MOST_FOREIGN = 0.25
"""The share of other names above which a set only borrows CoronaHack's columns; in the public set it is 1 %."""

_PERSON = re.compile(r"(?P<person>person\d+)_(?P<cause>bacteria|virus)_")
_SERIES = re.compile(r"(?P<normal2>NORMAL2-)?(?P<series>IM-\d+)-")
_EXTENSION = re.compile(r"\.(jpe?g|png|tiff?|bmp|gif|dcm)$", re.IGNORECASE)
_DAY = re.compile(r"-day-?\d+(-(PA|AP|L|lateral))?$", re.IGNORECASE)
_REPEATED_PANEL = re.compile(r"([a-z])-(Fig\d+)\1$")
_PANEL = re.compile(r"-[a-z]\d?$")


def patient_ids(names: Sequence[str], rule: Rule) -> list[str]:
    """Name the patient of each scan.

    Args:
        names: n file names, as the metadata gives them.
        rule: One of `RULES`.

    Returns:
        n identifiers; equal ones are one patient. A foreign scan is a patient of its own, unless its name plainly
        shows another day of one series (`…-day0`, `…-day3`) or another panel of one figure (`…-l-a`, `…-l-b`).

    Raises:
        ValueError: The rule is not known.

    Example:
        >>> patient_ids(["person12_virus_44.jpeg", "NORMAL2-IM-0421-0001.jpeg"], "merged")
        ['person12', 'IM-0421']
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {RULES}. Received: {rule}")
    return [_patient(name, rule) for name in names]


def has_known_names(names: Sequence[str]) -> bool:
    """Whether the names are CoronaHack's, and not those of another set that borrows its columns."""
    return sum(source_of(name) == FOREIGN for name in names) <= MOST_FOREIGN * len(names)


def source_of(name: str) -> str:
    """Tell the source of a scan by its name: one of `SOURCES`."""
    base = name.rpartition("/")[2]
    if _PERSON.match(base):
        return "person"
    series = _SERIES.match(base)
    if series is None:
        return FOREIGN
    return "NORMAL2" if series["normal2"] else "IM"


def _patient(name: str, rule: Rule) -> str:
    base = name.rpartition("/")[2]
    person = _PERSON.match(base)
    if person is not None:
        return f"{person['person']}_{person['cause']}" if rule == "cause" else person["person"]
    series = _SERIES.match(base)
    if series is not None:
        return series["series"] if rule == "merged" else f"{series['normal2'] or ''}{series['series']}"
    return _foreign_patient(name)


def _foreign_patient(name: str) -> str:
    stem = _EXTENSION.sub("", name)
    stem = _DAY.sub("", stem)
    stem = _REPEATED_PANEL.sub(r"-\2", stem)
    return _PANEL.sub("", stem)
