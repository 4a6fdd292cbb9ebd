"""The outcome of each scan: called pneumonia, called normal or referred to a person."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from xray.errors import EvaluationError
from xray.labels import LABELS, NORMAL, PNEUMONIA, REFER

DECISIONS = (PNEUMONIA, NORMAL, REFER)


@dataclass(frozen=True)
class Outcomes:
    """Scans counted by what they are and what was decided.

    Attributes:
        counts: Scans of each of `LABELS`, by each of `DECISIONS`.
    """

    counts: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, scores: pd.DataFrame) -> "Outcomes":
        """Count the rows of a scores table, a row a scan: label and decision.

        Raises:
            EvaluationError: A label or a decision is not known.
        """
        for column, known in (("label", LABELS), ("decision", DECISIONS)):
            unknown = sorted(set(map(str, scores[column])) - set(known))
            if unknown:
                raise EvaluationError(f"{column} must be among {known}. Received: {unknown}")
        table = pd.crosstab(scores["label"], scores["decision"])
        table = table.reindex(index=list(LABELS), columns=list(DECISIONS), fill_value=0)
        return cls({label: {name: int(scans) for name, scans in row.items()} for label, row in table.iterrows()})

    @property
    def scans(self) -> int:
        """All scans."""
        return sum(sum(row.values()) for row in self.counts.values())

    @property
    def right(self) -> int:
        """Scans that were called what they are."""
        return sum(self.counts[label][label] for label in LABELS)

    @property
    def referred(self) -> int:
        """Scans that were referred, neither right nor wrong."""
        return sum(row[REFER] for row in self.counts.values())

    @property
    def decided(self) -> int:
        """Scans that were called pneumonia or normal."""
        return self.scans - self.referred

    @property
    def wrong(self) -> int:
        """Scans that were called what they are not."""
        return self.decided - self.right

    def of_label(self, label: str) -> int:
        """Scans that are of one of `LABELS`."""
        return sum(self.counts[label].values())
