"""What became of each scan, counted by hand."""

import pandas as pd
import pytest

from xray.errors import EvaluationError
from xray.evaluation.decision.outcomes import Outcomes


def scores(*scans: str) -> pd.DataFrame:
    labels, decisions = zip(*(scan.split() for scan in scans), strict=True)
    return pd.DataFrame({"label": labels, "decision": decisions})


def test_a_referred_scan_is_neither_right_nor_wrong() -> None:
    found = Outcomes.of(
        scores("normal refer", "normal refer", "normal normal", "normal pneumonia", "pneumonia pneumonia")
    )
    assert found.counts == {
        "pneumonia": {"pneumonia": 1, "normal": 0, "refer": 0},
        "normal": {"pneumonia": 1, "normal": 1, "refer": 2},
    }
    assert (found.scans, found.decided, found.right, found.wrong, found.referred) == (5, 3, 2, 1, 2)
    assert found.of_label("normal") == 4


@pytest.mark.parametrize(("scan", "column"), [("sick normal", "label"), ("normal unsure", "decision")])
def test_what_is_not_known_is_refused(scan: str, column: str) -> None:
    with pytest.raises(EvaluationError, match=f"{column} must be among"):
        Outcomes.of(scores(scan))
