"""The labels, and the meaning of a model's outputs.

"Positive" always means pneumonia. The order of the binary scheme's classes is the article's: pneumonia 0, normal 1, so
a sigmoid output is P(normal).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PNEUMONIA = "pneumonia"
NORMAL = "normal"
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
"""Every `subtype` of a catalog, with the cause it counts under; `pneumonia` is one whose cause nobody has said."""


@dataclass(frozen=True)
class Scheme:
    """What a network tells apart.

    Attributes:
        name: As the configuration names it.
        classes: In the order of the network's outputs. One sigmoid output stands for the binary scheme's two.
    """

    name: str
    classes: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """How many numbers a network of this scheme gives for a scan."""
        return 1 if self.classes == LABELS else len(self.classes)

    def class_of(self, subtype: str) -> str | None:
        """Name the class that a subtype counts under, if it has one.

        ARDS and pneumonia of unknown cause have no class where causes are told apart; they are pneumonia all the same.

        Raises:
            ValueError: The subtype is not known.
        """
        if subtype not in CAUSE_OF_SUBTYPE:
            raise ValueError(f"subtype must be among {tuple(CAUSE_OF_SUBTYPE)}. Received: {subtype}")
        cause = CAUSE_OF_SUBTYPE[subtype]
        binary = NORMAL if cause == NORMAL else PNEUMONIA
        return next((name for name in (subtype, cause, binary) if name in self.classes), None)

    def class_index(self, subtypes: Sequence[str]) -> NDArray[np.int64]:
        """Turn subtypes into the places of their classes: int64 (n,), -1 where a scan has no class.

        Raises:
            ValueError: A subtype is not known.
        """
        names = [self.class_of(subtype) for subtype in subtypes]
        return np.array([-1 if name is None else self.classes.index(name) for name in names], dtype=np.int64)

    def targets(self, class_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give what the network should answer: float32 (n, outputs), 1 for a scan's class and 0 else.

        Args:
            class_index: int64 (n,), none of them -1. The one output of the binary scheme is 1 for normal.
        """
        if self.outputs == 1:
            return class_index.astype(np.float32)[:, np.newaxis]
        return np.eye(len(self.classes), dtype=np.float32)[class_index]


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("binary", LABELS),
        Scheme("cause", (NORMAL, "bacterial", "viral")),
        Scheme("covid", (NORMAL, "bacterial", "viral", "covid-19")),
    )
}
"""What `labels.scheme` may name."""


def class_probabilities(outputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Read a model's outputs as the probability of each of its classes.

    Args:
        outputs: float (n, 1), the sigmoid output P(normal), or float (n, k), one softmax output a class; 0 to 1.

    Returns:
        float64 (n, k) in the order of the scheme's `classes`, 0 to 1; k is 2 for a sigmoid output.
    """
    given = np.asarray(outputs, dtype=np.float64)
    return np.concatenate([1.0 - given, given], axis=1) if given.shape[1] == 1 else given


def p_pneumonia(probabilities: NDArray[np.floating], classes: Sequence[str]) -> NDArray[np.float64]:
    """Read class probabilities as the probability of pneumonia: 1 - P(normal), whatever the scheme.

    Args:
        probabilities: float (n, k), one column a class, 0 to 1.
        classes: k names, in the order of the columns.

    Returns:
        float64 (n,), 0 to 1.
    """
    return 1.0 - np.asarray(probabilities, dtype=np.float64)[:, list(classes).index(NORMAL)]


def class_columns(classes: Sequence[str]) -> list[str]:
    """Name the columns that hold each class's probability; none where `p_pneumonia` says it all.

    Args:
        classes: In the order of a model's outputs.
    """
    return [] if tuple(classes) == LABELS else [f"p_{name}" for name in classes]


def predicted_class(probabilities: NDArray[np.floating], classes: Sequence[str]) -> list[str]:
    """Name the likeliest class of each scan; of equals the first.

    Args:
        probabilities: float (n, k), one column a class, 0 to 1.
        classes: k names, in the order of the columns.
    """
    return [classes[place] for place in np.argmax(probabilities, axis=1)]


def decide(
    p: NDArray[np.floating], threshold: float | NDArray[np.floating], low: float = 1.0, high: float = 0.0
) -> list[str]:
    """Decide each scan at a model's stored threshold: pneumonia from the threshold on, else normal.

    Args:
        p: float (n,), the probability of pneumonia, 0 to 1.
        threshold: 0 to 1, chosen on validation scans; one for all, or one a scan.
        low: From here on, below `high`, a scan is referred to a person. As they stand, none is.
        high: Where that ends.
    """
    called = np.where(p >= threshold, PNEUMONIA, NORMAL)
    decided: list[str] = np.where((p >= low) & (p < high), REFER, called).tolist()
    return decided
