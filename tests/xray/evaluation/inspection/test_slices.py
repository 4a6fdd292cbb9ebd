"""Slices of the scans: figures by hand, too few said so, and the worst one named."""

import numpy as np
import pandas as pd
import pytest

from xray.config import Evaluation
from xray.errors import EvaluationError
from xray.evaluation.inspection.slices import COLUMNS, Slice, Slices, slices
from xray.evaluation.metrics.split_metrics import evaluate_split

FEW = Evaluation(bootstrap_draws=200)


def scans(*groups: tuple[int, str, str, int]) -> pd.DataFrame:
    """Scans of one patient each, in groups: how many, their subtype, their source, how many are called pneumonia."""
    rows = [
        {"subtype": subtype, "source": source, "p_pneumonia": 0.9 if place < called else 0.1}
        for scans, subtype, source, called in groups
        for place in range(scans)
    ]
    table = pd.DataFrame(rows)
    number = np.arange(len(table))
    return table.assign(
        sha256=[f"{each:016x}" for each in number],
        patient_id=[f"person{each}" for each in number],
        label=np.where(table["subtype"] == "normal", "normal", "pneumonia"),
        split="test",
    )


def looks_of(scores: pd.DataFrame, brightness: list[float] | None = None) -> pd.DataFrame:
    """Looks that are all alike but for the brightness."""
    return pd.DataFrame({"sha256": scores["sha256"], "brightness": brightness or 100.0, "width": 224, "height": 224})


SCORES = scans(
    (20, "bacterial", "person", 19),
    (10, "viral", "person", 6),
    (9, "covid-19", "foreign", 2),
    (20, "normal", "IM", 1),
    (12, "normal", "NORMAL2", 3),
)


@pytest.fixture(scope="module")
def by_hand() -> Slices:
    return slices(SCORES, 0.5, looks_of(SCORES), FEW)


def values(found: Slices) -> dict[tuple[str, str, str], float]:
    return {(part.kind, part.name, figure): each.value for part in found.parts for figure, each in part.figures.items()}


def test_each_figure_by_hand(by_hand: Slices) -> None:
    assert values(by_hand) == {
        ("subtype", "bacterial", "sensitivity"): 19 / 20,
        ("subtype", "normal", "specificity"): 28 / 32,
        ("subtype", "viral", "sensitivity"): 6 / 10,
        ("source", "IM", "specificity"): 19 / 20,
        ("source", "NORMAL2", "specificity"): 9 / 12,
        ("source", "person", "sensitivity"): 25 / 30,
    }
    assert {name: each.value for name, each in by_hand.whole.figures.items()} == {
        "sensitivity": 27 / 39,
        "specificity": 28 / 32,
    }


def test_too_few_scans_have_no_figure_and_say_so(by_hand: Slices) -> None:
    covid = next(part for part in by_hand.parts if part.name == "covid-19")
    assert covid.counts == {"sensitivity": 9, "specificity": 0}
    assert not covid.figures
    assert ("subtype covid-19", "9", "9 scans, too few", "") in by_hand.rows()


def test_too_few_are_those_that_a_figure_is_a_share_of() -> None:
    # Thirty scans, but only one of them is healthy.
    scores = scans((29, "viral", "person", 20), (1, "normal", "person", 0), (20, "normal", "IM", 0))
    row = next(row for row in slices(scores, 0.5, looks_of(scores), FEW).rows() if row[0] == "source person")
    assert row[1] == "30"
    assert row[2].startswith("0.690")
    assert row[3] == "1 scan, too few"


def test_the_worst_part_is_the_lowest_of_those_with_enough_scans(by_hand: Slices) -> None:
    # 2 of 9 with COVID-19 are found, and 9 are too few.
    sensitivity, specificity = by_hand.worst("sensitivity"), by_hand.worst("specificity")
    assert sensitivity is not None and specificity is not None
    assert (sensitivity.name, specificity.name) == ("viral", "NORMAL2")
    assert by_hand.rows()[-1] == ("worst slice", "", "subtype viral", "source NORMAL2")


def test_a_part_that_holds_all_scans_is_not_the_worst() -> None:
    scores = scans((20, "viral", "person", 15), (20, "normal", "IM", 3))
    found = slices(scores, 0.5, looks_of(scores), FEW)
    assert found.worst("sensitivity") is None
    assert found.rows()[-1] == ("worst slice", "", "none", "none")
    assert not [name for name in found.flat("slices") if "worst" in name]


def test_intervals_are_those_of_a_splits_evaluation(scored: pd.DataFrame) -> None:
    scores = scored.assign(source=np.where(scored["label"] == "normal", "IM", "person"))
    found = slices(scores, 0.6, looks_of(scores), FEW)
    split = evaluate_split(scores, 0.6, FEW).chosen
    parts = {part.name: part.figures for part in found.parts}
    assert parts["bacterial"]["sensitivity"] == split.by_cause["bacterial"]
    assert parts["IM"]["specificity"] == split.figures["specificity"] == found.whole.figures["specificity"]
    assert parts["bacterial"]["sensitivity"].low is not None


class TestThirds:
    scores = scans((30, "viral", "person", 20), (30, "normal", "IM", 10))

    def thirds(self, looks: pd.DataFrame, kind: str) -> list[Slice]:
        return [part for part in slices(self.scores, 0.5, looks, FEW).parts if part.kind == kind]

    def test_by_brightness_by_hand(self) -> None:
        # Of each label the scans called pneumonia come first, so that they are the dark ones.
        grays = [float(place) for place in [*range(30), *range(30)]]
        dark, medium, bright = self.thirds(looks_of(self.scores, grays), "brightness")
        assert [part.name for part in (dark, medium, bright)] == ["dark", "medium", "bright"]
        assert dark.words == "dark (mean gray 0 to 9)"
        assert [part.figures["sensitivity"].value for part in (dark, medium, bright)] == [1, 1, 0]
        assert [part.figures["specificity"].value for part in (dark, medium, bright)] == [0, 1, 1]

    def test_by_size(self) -> None:
        looks = looks_of(self.scores).assign(width=[500, 1000, 2000] * 20, height=1000)
        small, medium, large = self.thirds(looks, "size")
        assert [part.words for part in (small, medium, large)] == [
            "small (megapixels 0.5)",
            "medium (megapixels 1)",
            "large (megapixels 2)",
        ]
        assert small.counts == {"sensitivity": 10, "specificity": 10}

    def test_are_left_out_where_all_scans_are_alike(self) -> None:
        assert self.thirds(looks_of(self.scores), "size") == []
        assert self.thirds(looks_of(self.scores), "brightness") == []

    def test_equal_values_stay_together(self) -> None:
        looks = looks_of(self.scores, [50.0] * 59 + [60.0])
        assert [(part.name, sum(part.counts.values())) for part in self.thirds(looks, "brightness")] == [
            ("dark", 59),
            ("bright", 1),
        ]

    def test_do_not_depend_on_the_order_of_the_looks(self) -> None:
        looks = looks_of(self.scores, [float(place) for place in range(60)])
        shuffled = looks.sample(frac=1, random_state=0)
        assert self.thirds(shuffled, "brightness") == self.thirds(looks, "brightness")


def test_copies_of_a_scan_share_their_looks() -> None:
    copies = SCORES.assign(sha256="0" * 16)
    assert slices(copies, 0.5, looks_of(copies), FEW).scans == len(SCORES)


def test_numbers_are_named_by_kind_part_and_figure(by_hand: Slices) -> None:
    flat = by_hand.flat("slices")
    assert flat["slices.subtype.viral.sensitivity"] == 0.6
    assert flat["slices.subtype.viral.sensitivity_low"] < 0.6 < flat["slices.subtype.viral.sensitivity_high"]
    assert flat["slices.worst.sensitivity"] == 0.6
    assert flat["slices.worst.specificity"] == 0.75
    assert not [name for name in flat if "covid-19" in name]


def test_the_table_has_a_row_a_part(by_hand: Slices) -> None:
    rows = by_hand.rows()
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert len(rows) == len(by_hand.parts) + 2
    assert rows[0][:2] == ("all scans", "71")


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (SCORES.assign(split=["train", *["test"] * 70]), r"one split. Received: \['test', 'train'\]"),
        (SCORES.assign(p_pneumonia=2.0), "within 0 to 1"),
        (SCORES.assign(sha256="f" * 16), "a row for each scan. Received: 1 scans without"),
    ],
)
def test_scores_that_cannot_be_judged_are_refused(scores: pd.DataFrame, words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        slices(scores, 0.5, looks_of(SCORES), FEW)
