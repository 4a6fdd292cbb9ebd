"""The labels, and the meaning of a model's outputs.

"Positive" always means the finding that a scheme tells from normal: pneumonia in the shipped ones. The order of two
classes is the article's: the finding 0, normal 1, so a sigmoid output is P(normal).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PNEUMONIA = "pneumonia"
NORMAL = "normal"
"""The label and class of a scan without the finding, in every scheme."""

REFER = "refer"
"""A decision that is left to a person."""

LABELS = (PNEUMONIA, NORMAL)
"""Labels in the article's order, which is also that of the binary scheme's classes."""

CAUSE_OF_SUBTYPE = {
    "normal": "normal",
    "pneumonia": "unknown",
    "bacterial": "bacterial",
    "streptococcus": "bacterial",
    "viral": "viral",
    "covid-19": "viral",
    "sars": "viral",
    "ards": "other",
}
"""Every `subtype` of a pneumonia, with the cause it counts under; `pneumonia` is one whose cause nobody has said."""

_P, _RAW = "p_", "_raw"


@dataclass(frozen=True)
class Scheme:
    """What a network tells apart.

    Attributes:
        name: As the configuration names it.
        classes: In the order of the network's outputs, `normal` among them: last of two, first of more. One sigmoid
            output stands for two classes.
        finding: What every class but `normal` is: a scan is called so, or normal, or is referred.
    """

    name: str
    classes: tuple[str, ...]
    finding: str = PNEUMONIA

    @property
    def outputs(self) -> int:
        """How many numbers a network of this scheme gives for a scan."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def class_of(self, subtype: str) -> str | None:
        """Name the class that a subtype counts under, if it has one.

        ARDS and pneumonia of unknown cause have no class where causes are told apart; they are pneumonia all the same.
        """
        names = (subtype, CAUSE_OF_SUBTYPE.get(subtype, subtype), label_of(subtype))
        return next((name for name in names if name in self.classes), None)

    def covers(self, subtype: str) -> bool:
        """Whether the scheme says of a subtype that it is the finding, or normal."""
        return self.class_of(subtype) is not None or label_of(subtype) == self.finding

    def class_index(self, subtypes: Sequence[str]) -> NDArray[np.int64]:
        """Turn subtypes into the places of their classes: int64 (n,), -1 where a scan has no class."""
        names = [self.class_of(subtype) for subtype in subtypes]
        return np.array([-1 if name is None else self.classes.index(name) for name in names], dtype=np.int64)

    def targets(self, class_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give what the network should answer: float32 (n, outputs), 1 for a scan's class and 0 else.

        Args:
            class_index: int64 (n,), none of them -1. The one output of two classes is 1 for normal.
        """
        if self.outputs == 1:
            return class_index.astype(np.float32)[:, np.newaxis]
        return np.eye(len(self.classes), dtype=np.float32)[class_index]


BINARY = Scheme("binary", LABELS)


def label_of(subtype: str) -> str:
    """Name the label that a subtype belongs to: pneumonia for each of its causes, and else the subtype itself."""
    return PNEUMONIA if subtype in CAUSE_OF_SUBTYPE and subtype != NORMAL else subtype


def class_probabilities(outputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Read a model's outputs as the probability of each of its classes.

    Args:
        outputs: float (n, 1), the sigmoid output P(normal), or float (n, k), one softmax output a class; 0 to 1.

    Returns:
        float64 (n, k) in the order of the scheme's `classes`, 0 to 1; k is 2 for a sigmoid output.
    """
    given = np.asarray(outputs, dtype=np.float64)
    return np.concatenate([1.0 - given, given], axis=1) if given.shape[1] == 1 else given


def p_finding(probabilities: NDArray[np.floating], classes: Sequence[str]) -> NDArray[np.float64]:
    """Read class probabilities as the probability of the finding: 1 - P(normal), whatever the scheme.

    Args:
        probabilities: float (n, k), one column a class, 0 to 1.
        classes: k names, in the order of the columns.

    Returns:
        float64 (n,), 0 to 1.
    """
    return 1.0 - np.asarray(probabilities, dtype=np.float64)[:, list(classes).index(NORMAL)]


def p_column(finding: str) -> str:
    """Name the column that holds the probability of a finding, as it is decided by."""
    return f"{_P}{finding}"


def raw_column(finding: str) -> str:
    """Name the column that holds it as it came from the network, before calibration."""
    return f"{_P}{finding}{_RAW}"


def is_probability(column: str) -> bool:
    """Whether a column holds the probability of a finding or a class."""
    return column.startswith(_P)


def finding_in(columns: Iterable[str]) -> str:
    """Name the finding that a table of scores is about: that of its first column `p_FINDING`.

    Args:
        columns: Names of the table's columns. Where none begins with `p_`, the finding is pneumonia.
    """
    first = next((name for name in columns if is_probability(str(name))), p_column(PNEUMONIA))
    return first.removeprefix(_P).removesuffix(_RAW)


def class_columns(classes: Sequence[str]) -> list[str]:
    """Name the columns that hold each class's probability; none of two classes, where `p_FINDING` says it all.

    Args:
        classes: In the order of a model's outputs.
    """
    return [] if len(classes) == 2 else [f"{_P}{name}" for name in classes]


def predicted_class(probabilities: NDArray[np.floating], classes: Sequence[str]) -> list[str]:
    """Name the likeliest class of each scan; of equals the first.

    Args:
        probabilities: float (n, k), one column a class, 0 to 1.
        classes: k names, in the order of the columns.
    """
    return [classes[place] for place in np.argmax(probabilities, axis=1)]


def decide(
    p: NDArray[np.floating],
    threshold: float | NDArray[np.floating],
    low: float = 1.0,
    high: float = 0.0,
    finding: str = PNEUMONIA,
) -> list[str]:
    """Decide each scan at a model's stored threshold: the finding from the threshold on, else normal.

    Args:
        p: float (n,), the probability of the finding, 0 to 1.
        threshold: 0 to 1, chosen on validation scans; one for all, or one a scan.
        low: From here on, below `high`, a scan is referred to a person. As they stand, none is.
        high: Where that ends.
        finding: What a scan is called from the threshold on.
    """
    called = np.where(p >= threshold, finding, NORMAL)
    decided: list[str] = np.where((p >= low) & (p < high), REFER, called).tolist()
    return decided
