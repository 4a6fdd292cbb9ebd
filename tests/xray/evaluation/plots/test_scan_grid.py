"""The scans that are shown: the same ones on every machine, with what became of each."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tests.xray.evaluation.plots.test_binary import FEW, words
from xray.errors import EvaluationError
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.metrics.split_metrics import evaluate_split
from xray.evaluation.plots.scan_grid import choose_scans, scan_grid
from xray.labels import decide


def gray(scans: pd.DataFrame) -> NDArray[np.uint8]:
    return np.full((len(scans), 32, 40), 90, dtype=np.uint8)


class TestChoose:
    def test_right_then_wrong_then_referred_up_to_four_of_each(self, decided: pd.DataFrame) -> None:
        chosen = choose_scans(decided, 0.6, most=4)
        assert chosen["band"].tolist() == 4 * ["Right"] + 4 * ["Wrong"] + 4 * ["Referred"]
        right, wrong, referred = (part for _, part in chosen.groupby("band", sort=False))
        assert (right["decision"] == right["label"]).all()
        assert right["label"].value_counts().to_dict() == {"normal": 2, "pneumonia": 2}
        assert (wrong["decision"] != wrong["label"]).all()
        assert set(referred["decision"]) == {"refer"}

    def test_wrong_ones_are_the_most_confident_first_and_no_referred_one_is_among_them(self) -> None:
        # Threshold 0.6. Missed: 0.12 is 4/5 of the way to 0, 0.3 1/2. A false alarm of 0.9 is 3/4 of the way to 1.
        scores = pd.DataFrame(
            {
                "image_id": ["half", "three quarters", "referred", "four fifths"],
                "sha256": ["a", "b", "c", "d"],
                "label": ["pneumonia", "normal", "pneumonia", "pneumonia"],
                "p_pneumonia": [0.3, 0.9, 0.55, 0.12],
                "decision": ["normal", "pneumonia", "refer", "normal"],
            }
        )
        chosen = choose_scans(scores, 0.6)
        assert chosen["image_id"].tolist() == ["four fifths", "three quarters", "half", "referred"]
        assert chosen["band"].tolist() == ["Wrong", "Wrong", "Wrong", "Referred"]

    def test_referred_ones_are_drawn_in_the_order_of_their_digests(self, decided: pd.DataFrame) -> None:
        referred = decided[decided["decision"] == "refer"]
        assert len(referred) > 3
        chosen = choose_scans(decided, 0.6, most=3)
        found = chosen.loc[chosen["band"] == "Referred", "sha256"].tolist()
        assert found == sorted(referred["sha256"])[:3]

    def test_the_order_of_the_rows_does_not_matter(self, decided: pd.DataFrame) -> None:
        shuffled = decided.sample(frac=1, random_state=1)
        pd.testing.assert_frame_equal(choose_scans(decided, 0.6, most=4), choose_scans(shuffled, 0.6, most=4))

    def test_a_model_that_refers_all_or_none_has_empty_bands(self, decided: pd.DataFrame) -> None:
        assert set(choose_scans(decided.assign(decision="refer"), 0.6)["band"]) == {"Referred"}
        none = decided.assign(decision=decide(decided["p_pneumonia"].to_numpy(), 0.6))
        assert set(choose_scans(none, 0.6)["band"]) == {"Right", "Wrong"}

    def test_scores_without_a_decision_are_refused(self, scored: pd.DataFrame) -> None:
        with pytest.raises(EvaluationError, match=r"Missing: \['decision'\]"):
            choose_scans(scored, 0.6)


class TestGrid:
    def test_it_counts_right_wrong_and_referred_scans_and_says_what_each_is(self, decided: pd.DataFrame) -> None:
        chosen, outcomes = choose_scans(decided, 0.6, most=3), Outcomes.of(decided)
        text = words(scan_grid(gray(chosen), chosen, outcomes, evaluate_split(decided, 0.6, FEW)))
        assert "TEST: 60 scans of 30 patients, 66.7% pneumonia" in text
        referred = (decided["decision"] == "refer").sum()
        right = (decided["decision"] == decided["label"]).sum()
        assert referred > 0
        assert f"Right ({right} of 60), random sample" in text
        assert f"Wrong ({60 - right - referred} of 60), most confident first" in text
        assert f"Referred ({referred} of 60), referred to a person" in text
        for scan in chosen.itertuples():
            called = "referred" if scan.decision == "refer" else f"called {scan.decision}"
            assert f"actual {scan.label}\n{called} {scan.p_pneumonia:.2f}" in text

    def test_a_model_without_mistakes_that_refers_none_can_be_drawn(self, scored: pd.DataFrame) -> None:
        scores = scored.assign(p_pneumonia=(scored["label"] == "pneumonia").astype(float), decision=scored["label"])
        chosen = choose_scans(scores, 0.5)
        text = words(scan_grid(gray(chosen), chosen, Outcomes.of(scores), evaluate_split(scores, 0.5, FEW)))
        for heading in ("Right (60 of 60)", "Wrong (0 of 60)", "Referred (0 of 60)"):
            assert heading in text

    def test_it_refuses_pixels_that_are_not_one_a_scan(self, decided: pd.DataFrame) -> None:
        chosen = choose_scans(decided, 0.6)
        with pytest.raises(EvaluationError, match="one image per scan"):
            scan_grid(gray(chosen)[:1], chosen, Outcomes.of(decided), evaluate_split(decided, 0.6, FEW))
