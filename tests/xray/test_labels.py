"""What a model's output means."""

import numpy as np
import pytest

from xray.labels import (
    CAUSE_OF_SUBTYPE,
    LABELS,
    SCHEMES,
    class_probabilities,
    decide,
    p_pneumonia,
    predicted_class,
)

SUBTYPES = ["normal", "bacterial", "streptococcus", "viral", "covid-19", "sars", "ards"]
SOFTMAX = np.array([[0.5, 0.25, 0.25], [0.125, 0.25, 0.625]], dtype=np.float32)


def test_the_indices_are_the_articles() -> None:
    assert LABELS == SCHEMES["binary"].classes == ("pneumonia", "normal")
    assert SCHEMES["binary"].class_index(["normal", "viral", "normal"]).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("scheme", "classes"),
    [
        ("binary", ["normal", *["pneumonia"] * 6]),
        ("cause", ["normal", "bacterial", "bacterial", "viral", "viral", "viral", None]),
        ("covid", ["normal", "bacterial", "bacterial", "viral", "covid-19", "viral", None]),
    ],
)
def test_every_subtype_has_its_class_but_ards_whose_cause_is_not_known(scheme: str, classes: list[str | None]) -> None:
    found = SCHEMES[scheme]
    assert [found.class_of(subtype) for subtype in SUBTYPES] == classes
    places = [-1 if name is None else found.classes.index(name) for name in classes]
    assert found.class_index(SUBTYPES).tolist() == places


def test_an_unknown_subtype_is_refused() -> None:
    with pytest.raises(ValueError, match="Received: fungal"):
        SCHEMES["cause"].class_index(["normal", "fungal"])


def test_targets_are_one_sigmoid_for_two_classes_and_one_output_a_class_for_more() -> None:
    assert SCHEMES["binary"].targets(np.array([0, 1])).tolist() == [[0.0], [1.0]]
    assert SCHEMES["cause"].targets(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert [scheme.outputs for scheme in SCHEMES.values()] == [1, 3, 4]


def test_a_sigmoid_output_is_p_normal() -> None:
    outputs = np.array([[0.25], [1.0], [0.0]], dtype=np.float32)
    probabilities = class_probabilities(outputs)
    assert probabilities.tolist() == [[0.75, 0.25], [0.0, 1.0], [1.0, 0.0]]
    assert p_pneumonia(probabilities, LABELS).tolist() == [0.75, 0.0, 1.0]
    assert p_pneumonia(probabilities, LABELS).dtype == np.float64


def test_p_pneumonia_is_what_a_model_does_not_give_to_normal_whatever_the_scheme() -> None:
    assert p_pneumonia(class_probabilities(SOFTMAX), SCHEMES["cause"].classes).tolist() == [0.5, 0.875]


def test_the_label_is_the_likeliest_class_and_of_equals_the_first() -> None:
    assert predicted_class(SOFTMAX, SCHEMES["cause"].classes) == ["normal", "viral"]
    assert predicted_class(np.array([[0.5, 0.5]]), LABELS) == ["pneumonia"]


def test_a_scan_is_pneumonia_from_the_threshold_on() -> None:
    p = np.array([0.2, 0.3, 0.5, 0.9])
    assert decide(p, 0.3) == ["normal", "pneumonia", "pneumonia", "pneumonia"]
    assert decide(p, np.array([0.1, 0.4, 0.5, 1.0])) == ["pneumonia", "normal", "pneumonia", "normal"]


def test_a_scan_in_the_band_is_referred() -> None:
    assert decide(np.array([0.2, 0.3, 0.5, 0.9]), 0.4, 0.3, 0.9) == ["normal", "refer", "refer", "pneumonia"]


def test_every_subtype_counts_under_one_cause() -> None:
    assert set(CAUSE_OF_SUBTYPE.values()) == {"normal", "bacterial", "viral", "other", "unknown"}
    assert CAUSE_OF_SUBTYPE["covid-19"] == "viral"
    assert CAUSE_OF_SUBTYPE["streptococcus"] == "bacterial"
