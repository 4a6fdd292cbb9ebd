"""Which words of a table, or of a folder's name, mean which label."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xray.data.sources.table_file import value
from xray.labels import NORMAL, PNEUMONIA, label_of

LEAVE_OUT = "leave_out"
EVERY_OTHER_WORD = "*"

COMMON = {
    NORMAL: ["normal", "no finding", "no findings", "healthy", "normal lungs", "normal chest"],
    PNEUMONIA: ["pneumonia", "pnemonia"],  # as the public CoronaHack CSV spells it
    "bacterial": ["bacterial", "bacteria", "bacterial pneumonia", "pneumonia bacterial", "pneumonia bacteria"],
    "viral": ["viral", "virus", "viral pneumonia", "pneumonia viral", "pneumonia virus"],
    "covid-19": ["covid-19", "covid 19", "covid19", "covid", "pneumonia covid-19"],
    "streptococcus": ["streptococcus"],
    "sars": ["sars"],
    "ards": ["ards"],
}
"""Words that need no `dataset.toml`, by what they mean: a label, or a pneumonia's cause."""


@dataclass(frozen=True)
class Label:
    """What a scan's words mean, or why it is left out.

    Attributes:
        label: The finding, or `normal`; empty where the scan is left out.
        subtype: The cause where one is known, else the label again.
        reason: Why it is left out, as a reject names it; else empty.
        detail: The words, where it is left out.
    """

    label: str = ""
    subtype: str = ""
    reason: str = ""
    detail: str = ""


class LabelWords:
    """Reads words as labels.

    Args:
        words: Label or cause to the words that mean it; `leave_out` lists those whose scans are left out, `*` for every
            word that is not listed. Upper and lower case, blanks, `_` and `-` make no difference.
        separator: Stands between the findings of one cell; nothing where a cell holds one.
    """

    def __init__(self, words: Mapping[str, Sequence[str]], separator: str = "") -> None:
        """Turn the words round."""
        self.separator = separator
        self._meaning = {canonical(word): key for key, listed in words.items() for word in listed}

    def read(self, cell: str) -> Label:
        """Read a cell, or a folder's name."""
        parts = [part.strip(" []'\"") for part in (cell.split(self.separator) if self.separator else [cell])]
        return self._joined([part for part in parts if self.knows(part) or value(part)], cell)

    def knows(self, word: str) -> bool:
        """Whether a word is listed."""
        return canonical(word) in self._meaning

    def of_columns(self, cells: Mapping[str, str]) -> Label:
        """Read a table that has a column a finding: 1 says it is there, 0 not, -1 unsure, empty not mentioned.

        Args:
            cells: Finding to its cell.
        """
        said = {finding: value(cell).removesuffix(".0") for finding, cell in cells.items()}
        there = [finding for finding, word in said.items() if word.casefold() in ("1", "true", "yes")]
        shown = ", ".join(f"{finding} {word or 'empty'}" for finding, word in said.items())
        if len({label_of(finding) for finding in there}) > 1:
            return Label(reason="conflicting-labels", detail=shown)
        if there:
            return _meant(max(there, key=lambda finding: finding not in (NORMAL, PNEUMONIA)))
        if "-1" in said.values():
            return Label(reason="uncertain-label", detail=shown)
        return Label(reason="left-out-label", detail=shown)

    def _joined(self, parts: Sequence[str], cell: str) -> Label:
        if not parts:
            return Label(reason="no-label", detail="the label is empty")
        others = self._meaning.get(EVERY_OTHER_WORD)
        meanings = [self._meaning.get(canonical(part), others) for part in parts]
        if None in meanings:
            return Label(reason="unknown-label", detail=parts[meanings.index(None)])
        found = {meaning for meaning in meanings if meaning not in (None, LEAVE_OUT)}
        findings = found - {NORMAL}
        if not found or (not findings and LEAVE_OUT in meanings):
            return Label(reason="left-out-label", detail=cell.strip())
        if len({label_of(name) for name in found if name}) > 1:
            return Label(reason="conflicting-labels", detail=cell.strip())
        causes = sorted(name for name in findings if name and name != PNEUMONIA) or sorted(filter(None, found))
        return _meant(causes[0] if len(causes) == 1 else PNEUMONIA)


def canonical(word: str) -> str:
    """Give a word as words are compared: lower case, with single blanks for blanks, `_` and `-`."""
    return re.sub(r"[\s_\-]+", " ", word).strip().casefold()


def with_common(words: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Give the words of a `dataset.toml`, with the common ones for what it does not mention."""
    own = {canonical(word) for listed in words.values() for word in listed}
    common = {key: [word for word in listed if canonical(word) not in own] for key, listed in COMMON.items()}
    return common | {key: list(listed) for key, listed in words.items()}


def cause_of(cell: str) -> str | None:
    """Read a cell of causes: a subtype of `CAUSE_OF_SUBTYPE`, nothing where none is said, None where it is unknown."""
    word = canonical(value(cell))
    if not word or word in ("unknown", "normal"):
        return ""
    return _CAUSES.get(word)


def _meant(meaning: str) -> Label:
    return Label(label_of(meaning), meaning)


_CAUSES = {canonical(word): key for key, listed in COMMON.items() for word in listed}
