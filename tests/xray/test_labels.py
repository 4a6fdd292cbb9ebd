"""What a model's output means."""

import numpy as np
import pytest

from xray.labels import CAUSE_OF_SUBTYPE, LABELS, decide, label_index, likeliest, p_pneumonia


def test_the_indices_are_the_articles() -> None:
    assert label_index(["normal", "pneumonia", "normal"]).tolist() == [1, 0, 1]
    assert LABELS == ("pneumonia", "normal")


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Received: \['Pnemonia'\]"):
        label_index(["normal", "Pnemonia"])


def test_p_pneumonia_is_what_a_model_does_not_give_to_normal() -> None:
    outputs = np.array([[0.25], [1.0], [0.0]], dtype=np.float32)
    assert p_pneumonia(outputs).tolist() == [0.75, 0.0, 1.0]
    assert p_pneumonia(outputs).dtype == np.float64


def test_a_scan_is_pneumonia_from_the_threshold_on() -> None:
    p = np.array([0.2, 0.3, 0.5, 0.9])
    assert decide(p, 0.3) == ["normal", "pneumonia", "pneumonia", "pneumonia"]
    assert likeliest(p) == ["normal", "normal", "pneumonia", "pneumonia"]


def test_every_subtype_counts_under_one_cause() -> None:
    assert set(CAUSE_OF_SUBTYPE.values()) == {"normal", "bacterial", "viral", "other"}
    assert CAUSE_OF_SUBTYPE["covid-19"] == "viral"
    assert CAUSE_OF_SUBTYPE["streptococcus"] == "bacterial"
