"""Two models on the same scans: differences by hand, draws shared, and no difference where there is none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray.config import Evaluation
from xray.errors import EvaluationError
from xray.evaluation.metrics.bootstrap import Estimate
from xray.evaluation.metrics.names import ALL
from xray.evaluation.metrics.paired_comparison import COLUMNS, Difference, McNemar, compare, mcnemar, shared

FEW = Evaluation(bootstrap_draws=200)


def table(p: list[float], positive: list[int], patients: list[str]) -> pd.DataFrame:
    """Scores of TEST scans, numbered from 0."""
    return pd.DataFrame(
        {
            "image_id": [f"scan{number}.png" for number in range(len(p))],
            "sha256": [f"{number:016x}" for number in range(len(p))],
            "patient_id": patients,
            "label": ["pneumonia" if each else "normal" for each in positive],
            "subtype": ["viral" if each else "normal" for each in positive],
            "split": "test",
            "p_pneumonia": p,
        }
    )


SICK = [1, 0, 1, 0]
PEOPLE = ["anna", "anna", "ben", "ben"]
FIRST = table([0.4, 0.6, 0.9, 0.1], SICK, PEOPLE)  # wrong on both of Anna's scans
SECOND = table([0.8, 0.2, 0.9, 0.1], SICK, PEOPLE)  # right on all


def test_each_figure_by_hand() -> None:
    found = compare(FIRST, SECOND, (0.5, 0.5), FEW)
    by_hand = {
        # pairs of a sick and a normal scan in the right order: 3 of 4, then 4 of 4
        "auc": (0.75, 1.0),
        # falling: 0.9 sick (precision 1), 0.6 normal, 0.4 sick (precision 2/3)
        "average_precision": ((1 + 2 / 3) / 2, 1.0),
        "brier": ((0.36 + 0.36 + 0.01 + 0.01) / 4, (0.04 + 0.04 + 0.01 + 0.01) / 4),
        # each scan in a bin of its own
        "calibration_error": ((0.6 + 0.6 + 0.1 + 0.1) / 4, (0.2 + 0.2 + 0.1 + 0.1) / 4),
        "accuracy": (0.5, 1.0),
        "sensitivity": (0.5, 1.0),
        "specificity": (0.5, 1.0),
        "f1": (0.5, 1.0),
    }
    assert list(found.differences) == list(ALL) == list(by_hand)
    for name, (first, second) in by_hand.items():
        each = found.differences[name]
        assert (each.first, each.second) == pytest.approx((first, second))
        assert each.difference.value == pytest.approx(second - first)
    assert (found.split, found.scans, found.patients) == ("test", 4, 2)


def test_the_interval_by_hand() -> None:
    # Two patients: a quarter of the draws takes Anna twice (+1), a quarter Ben twice (0), half take both (+1/2).
    accuracy = compare(FIRST, SECOND, (0.5, 0.5), Evaluation(bootstrap_draws=1000)).differences["accuracy"]
    assert accuracy.difference == Estimate(0.5, 0.0, 1.0)
    assert not accuracy.is_real


def test_each_model_decides_at_its_own_threshold() -> None:
    # At 0.1 the first model calls all four scans pneumonia, at 0.95 the second none.
    found = compare(FIRST, SECOND, (0.1, 0.95), FEW).differences
    assert (found["sensitivity"].first, found["sensitivity"].second) == (1.0, 0.0)
    assert (found["specificity"].first, found["specificity"].second) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("low", "high", "is_real"),
    [(0.01, 0.2, True), (-0.2, -0.01, True), (-0.01, 0.2, False), (0.0, 0.2, False), (0.0, 0.0, False)],
)
def test_a_difference_is_real_where_its_interval_excludes_zero(low: float, high: float, is_real: bool) -> None:
    assert Difference(0.5, 0.6, Estimate(0.1, low, high)).is_real is is_real


def test_without_an_interval_nothing_is_real() -> None:
    one_patient = [each.assign(patient_id="anna") for each in (FIRST, SECOND)]
    found = compare(one_patient[0], one_patient[1], (0.5, 0.5), FEW).differences
    assert all(each.difference.low is None and not each.is_real for each in found.values())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8)), min_size=4, max_size=60),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_equal_tables_differ_by_exactly_nothing(scans: list[tuple[float, int]], threshold: float, seed: int) -> None:
    positive = [number % 2 for number in range(len(scans))]
    scores = table([p for p, _ in scans], positive, [f"person{patient}" for _, patient in scans])
    again = scores.sample(frac=1, random_state=seed)
    found = compare(scores, again, (threshold, threshold), Evaluation(seed=seed, bootstrap_draws=100))
    for each in found.differences.values():
        assert (each.difference.value, each.difference.low or 0.0, each.difference.high or 0.0) == (0.0, 0.0, 0.0)
        assert not each.is_real
    assert found.mcnemar == McNemar(0, 0, 1.0)


def noisy(scored: pd.DataFrame, noise: float, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    p = scored["p_pneumonia"] + generator.normal(scale=noise, size=len(scored))
    return scored.assign(p_pneumonia=p.clip(0, 1))


def test_exchanged_the_models_differ_by_the_opposite(scored: pd.DataFrame) -> None:
    other = noisy(scored, 0.3, seed=1)
    there = compare(scored, other, (0.5, 0.6), FEW).differences
    back = compare(other, scored, (0.6, 0.5), FEW).differences
    for name in ALL:
        one, two = there[name].difference, back[name].difference
        assert one.low is not None and one.high is not None
        assert (two.value, two.low, two.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_the_same_seed_gives_the_same_intervals_in_any_order_of_rows(scored: pd.DataFrame) -> None:
    other = noisy(scored, 0.3, seed=1)
    found = compare(scored, other, (0.5, 0.5), FEW)
    assert compare(scored.sample(frac=1, random_state=0), other, (0.5, 0.5), FEW) == found


def test_a_clear_loss_is_real(scored: pd.DataFrame) -> None:
    turned = scored.assign(p_pneumonia=1 - scored["p_pneumonia"])
    found = compare(scored, turned, (0.5, 0.5), FEW)
    assert found.differences["auc"].is_real and found.differences["auc"].difference.value < 0
    assert found.mcnemar.p_value < 0.001


def test_models_that_are_equally_good_are_rarely_called_different(scored: pd.DataFrame) -> None:
    real = 0
    for trial in range(100):
        first, second = noisy(scored, 0.3, seed=2 * trial), noisy(scored, 0.3, seed=2 * trial + 1)
        found = compare(first, second, (0.5, 0.5), Evaluation(seed=trial, bootstrap_draws=200))
        real += found.differences["brier"].is_real
    assert real <= 12  # 5 of 100 are to be expected


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 5, 2 / 32),  # two of the 32 outcomes of five tosses
        (1, 5, 2 * (1 + 6) / 64),
        (5, 1, 2 * (1 + 6) / 64),
        (1, 9, 2 * (1 + 10) / 1024),
    ],
)
def test_mcnemar_by_hand(only_first: int, only_second: int, p_value: float) -> None:
    both = [True] * 4 + [False] * 2  # scans that both decide alike tell nothing
    first = np.array([True] * only_first + [False] * only_second + both)
    second = np.array([False] * only_first + [True] * only_second + both)
    found = mcnemar(first, second)
    assert (found.only_first_right, found.only_second_right) == (only_first, only_second)
    assert found.p_value == pytest.approx(p_value)


def test_mcnemar_counts_the_decisions_of_the_tables() -> None:
    assert compare(FIRST, SECOND, (0.5, 0.5), FEW).mcnemar == McNemar(0, 2, 0.5)
    assert compare(FIRST, SECOND, (0.3, 0.5), FEW).mcnemar == McNemar(0, 1, 1.0)


def test_other_scans_are_refused_with_the_counts() -> None:
    with pytest.raises(EvaluationError, match="the same scans.*Received: 4 and 3 scans, 3 of them shared"):
        compare(FIRST, SECOND.iloc[:3], (0.5, 0.5), FEW)
    with pytest.raises(EvaluationError, match="Received: 4 and 4 scans, 2 of them shared"):
        compare(FIRST, SECOND.assign(patient_id=["anna", "anna", "carl", "carl"]), (0.5, 0.5), FEW)


def test_the_scans_that_both_have_can_be_compared() -> None:
    first, second = shared(FIRST.iloc[[3, 2, 0]], SECOND.iloc[[0, 1, 3]])
    assert first["image_id"].tolist() == second["image_id"].tolist() == ["scan0.png", "scan3.png"]
    assert compare(first, second, (0.5, 0.5), FEW).differences["accuracy"].first == 0.5


def test_a_renamed_file_is_the_same_scan_and_copies_are_paired_one_to_one() -> None:
    renamed = SECOND.assign(image_id=["w.png", "x.png", "y.png", "z.png"])
    assert compare(FIRST, renamed, (0.5, 0.5), FEW) == compare(FIRST, SECOND, (0.5, 0.5), FEW)
    copies = [pd.concat([each, each.assign(image_id="copy.png")]) for each in (FIRST, SECOND)]
    assert compare(copies[0], copies[1], (0.5, 0.5), FEW).scans == 8
    assert len(shared(copies[0], SECOND)[0]) == 4


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (SECOND.assign(split="validation"), r"one split. Received: \['test', 'validation'\]"),
        (SECOND.drop(columns="sha256"), r"Missing: \['sha256'\]"),
        (SECOND.drop(columns="label"), r"Missing: \['label'\]"),
        (SECOND.assign(p_pneumonia=2.0), "within 0 to 1"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(second: pd.DataFrame, words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        compare(FIRST, second, (0.5, 0.5), FEW)


def test_scans_of_one_label_are_refused() -> None:
    with pytest.raises(EvaluationError, match="both labels"):
        compare(FIRST.iloc[[0, 2]], SECOND.iloc[[0, 2]], (0.5, 0.5), FEW)


def test_the_table_says_in_words_what_is_real(scored: pd.DataFrame) -> None:
    turned = scored.assign(p_pneumonia=1 - scored["p_pneumonia"])
    rows = compare(scored, turned, (0.5, 0.5), FEW).rows()
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert len(rows) == len(ALL) + 1
    assert {row[-1] for row in rows} == {"significant"}
    assert {row[-1] for row in compare(scored, scored, (0.5, 0.5), FEW).rows()} == {"not significant"}
    _, _, brier, *_, decisions = compare(FIRST, SECOND, (0.5, 0.5), FEW).rows()
    assert brier[:3] == ("brier", "0.185", "0.025")
    assert brier[3].startswith("-0.160 (-0.3")
    assert decisions == ("scans only it decides correctly", "0", "2", "McNemar's p = 0.5", "not significant")
