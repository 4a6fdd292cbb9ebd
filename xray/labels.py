"""What a scan can be called, and the one place that says what a model's output means.

"Positive" always means pneumonia. `label_index` is the article's: pneumonia 0, normal 1, so a sigmoid
output is P(normal).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PNEUMONIA = "pneumonia"
NORMAL = "normal"
LABELS = (PNEUMONIA, NORMAL)
"""Labels in the order of `label_index`, which is also the order of a model's `classes`."""

CAUSE_OF_SUBTYPE = {
    "normal": "normal",
    "bacterial": "bacterial",
    "streptococcus": "bacterial",
    "viral": "viral",
    "covid-19": "viral",
    "sars": "viral",
    "ards": "other",
}
"""Every `subtype` of a catalog, with the cause it counts under."""


def label_index(labels: Sequence[str]) -> NDArray[np.int64]:
    """Turn labels into the article's indices.

    Args:
        labels: n words of `LABELS`.

    Returns:
        int64 (n,), pneumonia 0, normal 1.

    Raises:
        ValueError: A label is not one of `LABELS`.
    """
    unknown = sorted(set(labels) - set(LABELS))
    if unknown:
        raise ValueError(f"labels must be among {LABELS}. Received: {unknown}")
    return np.array([LABELS.index(label) for label in labels], dtype=np.int64)


def p_pneumonia(outputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Read a model's outputs as the probability of pneumonia: 1 - P(normal).

    Args:
        outputs: float (n, 1), the sigmoid output P(normal), 0 to 1.

    Returns:
        float64 (n,), 0 to 1.
    """
    return 1.0 - np.asarray(outputs, dtype=np.float64).reshape(-1)


def likeliest(p: NDArray[np.floating]) -> list[str]:
    """Name the likelier label of each scan: pneumonia from 0.5 on.

    Args:
        p: float (n,), the probability of pneumonia, 0 to 1.
    """
    return [PNEUMONIA if value >= 0.5 else NORMAL for value in p]


def decide(p: NDArray[np.floating], threshold: float) -> list[str]:
    """Decide each scan at a model's stored threshold: pneumonia from the threshold on.

    Args:
        p: float (n,), the probability of pneumonia, 0 to 1.
        threshold: 0 to 1, chosen on validation scans.
    """
    return [PNEUMONIA if value >= threshold else NORMAL for value in p]
