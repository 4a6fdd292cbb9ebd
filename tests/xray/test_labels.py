"""What a model's output means."""

import numpy as np
import pytest

from xray.labels import (
    CAUSE_OF_SUBTYPE,
    LABELS,
    Scheme,
    class_columns,
    class_probabilities,
    decide,
    finding_in,
    label_of,
    p_finding,
    predicted_class,
)
from xray.scheme_files import shipped_schemes

SUBTYPES = ["normal", "bacterial", "streptococcus", "viral", "covid-19", "sars", "ards"]
SOFTMAX = np.array([[0.5, 0.25, 0.25], [0.125, 0.25, 0.625]], dtype=np.float32)


def test_the_indices_are_the_articles() -> None:
    assert LABELS == shipped_schemes()["binary"].classes == ("pneumonia", "normal")
    assert shipped_schemes()["binary"].class_index(["normal", "viral", "normal"]).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("scheme", "classes"),
    [
        ("binary", ["normal", *["pneumonia"] * 6]),
        ("cause", ["normal", "bacterial", "bacterial", "viral", "viral", "viral", None]),
        ("covid", ["normal", "bacterial", "bacterial", "viral", "covid-19", "viral", None]),
    ],
)
def test_every_subtype_has_its_class_but_ards_whose_cause_is_not_known(scheme: str, classes: list[str | None]) -> None:
    found = shipped_schemes()[scheme]
    assert [found.class_of(subtype) for subtype in SUBTYPES] == classes
    places = [-1 if name is None else found.classes.index(name) for name in classes]
    assert found.class_index(SUBTYPES).tolist() == places


TUBERCULOSIS = Scheme("tuberculosis", ("tuberculosis", "normal"), "tuberculosis")
LUNGS = Scheme("lungs", ("normal", "tuberculosis", "viral"), "disease")


@pytest.mark.parametrize(
    ("scheme", "covered"),
    [
        (shipped_schemes()["cause"], ["normal", "viral", "ards", "pneumonia"]),
        (TUBERCULOSIS, ["normal", "tuberculosis"]),
        (LUNGS, ["normal", "viral", "covid-19", "tuberculosis", "disease"]),
    ],
)
def test_a_scheme_covers_its_classes_and_its_finding(scheme: Scheme, covered: list[str]) -> None:
    asked = ["normal", "viral", "covid-19", "ards", "pneumonia", "tuberculosis", "fungal", "disease"]
    assert {name for name in asked if scheme.covers(name)} >= set(covered)
    assert not scheme.covers("fungal")
    assert scheme.class_index(["fungal"]).tolist() == [-1]


def test_two_classes_of_any_finding_are_one_output_and_more_are_one_each() -> None:
    assert (TUBERCULOSIS.outputs, LUNGS.outputs) == (1, 3)
    assert TUBERCULOSIS.class_index(["tuberculosis", "normal", "viral"]).tolist() == [0, 1, -1]
    assert LUNGS.class_index(["sars", "tuberculosis", "disease"]).tolist() == [2, 1, -1]
    assert (class_columns(TUBERCULOSIS.classes), class_columns(LUNGS.classes)[1:]) == (
        [],
        ["p_tuberculosis", "p_viral"],
    )


@pytest.mark.parametrize(
    ("columns", "finding"),
    [
        (["patient_id", "p_tuberculosis", "p_tuberculosis_raw"], "tuberculosis"),
        (["p_disease", "p_normal", "p_pneumonia"], "disease"),
        (["image_id", "label"], "pneumonia"),
    ],
)
def test_a_table_of_scores_says_which_finding_it_is_about(columns: list[str], finding: str) -> None:
    assert finding_in(columns) == finding


def test_causes_are_pneumonia_and_other_words_themselves() -> None:
    assert [label_of(name) for name in ("sars", "pneumonia", "normal", "tuberculosis")] == [
        "pneumonia", "pneumonia", "normal", "tuberculosis",
    ]  # fmt: skip


def test_targets_are_one_sigmoid_for_two_classes_and_one_output_a_class_for_more() -> None:
    assert shipped_schemes()["binary"].targets(np.array([0, 1])).tolist() == [[0.0], [1.0]]
    assert shipped_schemes()["cause"].targets(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert [scheme.outputs for scheme in shipped_schemes().values()] == [1, 3, 4]


def test_a_sigmoid_output_is_p_normal() -> None:
    outputs = np.array([[0.25], [1.0], [0.0]], dtype=np.float32)
    probabilities = class_probabilities(outputs)
    assert probabilities.tolist() == [[0.75, 0.25], [0.0, 1.0], [1.0, 0.0]]
    assert p_finding(probabilities, LABELS).tolist() == [0.75, 0.0, 1.0]
    assert p_finding(probabilities, LABELS).dtype == np.float64


def test_the_finding_is_what_a_model_does_not_give_to_normal_whatever_the_scheme() -> None:
    assert p_finding(class_probabilities(SOFTMAX), shipped_schemes()["cause"].classes).tolist() == [0.5, 0.875]


def test_the_label_is_the_likeliest_class_and_of_equals_the_first() -> None:
    assert predicted_class(SOFTMAX, shipped_schemes()["cause"].classes) == ["normal", "viral"]
    assert predicted_class(np.array([[0.5, 0.5]]), LABELS) == ["pneumonia"]


def test_a_scan_is_pneumonia_from_the_threshold_on() -> None:
    p = np.array([0.2, 0.3, 0.5, 0.9])
    assert decide(p, 0.3) == ["normal", "pneumonia", "pneumonia", "pneumonia"]
    assert decide(p, np.array([0.1, 0.4, 0.5, 1.0])) == ["pneumonia", "normal", "pneumonia", "normal"]


def test_a_scan_is_called_the_finding_of_its_scheme() -> None:
    assert decide(np.array([0.2, 0.5]), 0.3, finding="tuberculosis") == ["normal", "tuberculosis"]


def test_a_scan_in_the_band_is_referred() -> None:
    assert decide(np.array([0.2, 0.3, 0.5, 0.9]), 0.4, 0.3, 0.9) == ["normal", "refer", "refer", "pneumonia"]


def test_every_subtype_counts_under_one_cause() -> None:
    assert set(CAUSE_OF_SUBTYPE.values()) == {"normal", "bacterial", "viral", "other", "unknown"}
    assert CAUSE_OF_SUBTYPE["covid-19"] == "viral"
    assert CAUSE_OF_SUBTYPE["streptococcus"] == "bacterial"
