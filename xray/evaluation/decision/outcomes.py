"""The outcome of each scan: called the finding, called normal or referred to a person."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from xray.errors import EvaluationError
from xray.labels import NORMAL, REFER, finding_in


@dataclass(frozen=True)
class Outcomes:
    """Scans counted by what they are and what was decided.

    Attributes:
        counts: Scans of each of `labels`, by each of `decisions`.
    """

    counts: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, scores: pd.DataFrame) -> "Outcomes":
        """Count the rows of a scores table, a row a scan: label, decision and `p_FINDING`.

        Raises:
            EvaluationError: A label or a decision is not known.
        """
        labels = (finding_in(scores.columns), NORMAL)
        decisions = (*labels, REFER)
        for column, known in (("label", labels), ("decision", decisions)):
            unknown = sorted(set(map(str, scores[column])) - set(known))
            if unknown:
                raise EvaluationError(f"{column} must be among {known}. Received: {unknown}")
        table = pd.crosstab(scores["label"], scores["decision"])
        table = table.reindex(index=list(labels), columns=list(decisions), fill_value=0)
        return cls({label: {name: int(scans) for name, scans in row.items()} for label, row in table.iterrows()})

    @property
    def finding(self) -> str:
        """What the scans are called that are not normal."""
        return next(label for label in self.counts if label != NORMAL)

    @property
    def labels(self) -> tuple[str, str]:
        """What scans are: the finding, and normal."""
        return self.finding, NORMAL

    @property
    def decisions(self) -> tuple[str, str, str]:
        """What scans are called."""
        return self.finding, NORMAL, REFER

    @property
    def scans(self) -> int:
        """All scans."""
        return sum(sum(row.values()) for row in self.counts.values())

    @property
    def right(self) -> int:
        """Scans that were called what they are."""
        return sum(self.counts[label][label] for label in self.labels)

    @property
    def referred(self) -> int:
        """Scans that were referred, neither right nor wrong."""
        return sum(row[REFER] for row in self.counts.values())

    @property
    def decided(self) -> int:
        """Scans that were called the finding or normal."""
        return self.scans - self.referred

    @property
    def wrong(self) -> int:
        """Scans that were called what they are not."""
        return self.decided - self.right

    def of_label(self, label: str) -> int:
        """Scans that are of one of `labels`."""
        return sum(self.counts[label].values())
