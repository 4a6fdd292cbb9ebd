"""The model card says what the run found and what the model is not."""

import pytest

from xray.evaluation.reporting.model_card import LIMITS, SAFETY, CardFacts, model_card


@pytest.fixture
def card() -> str:
    return model_card(
        CardFacts(
            name="xray-classifier",
            recipe="article",
            source="A 2020 article.",
            details={"Catalog": "0123456789abcdef"},
            counts={"train, pneumonia": 3152, "TEST, normal": 127},
            rules=("The threshold, 0.6123, was chosen on validation scans.",),
            finding="pneumonia",
            figures={"accuracy": (0.9, 0.87, 0.93), "sensitivity_viral": (None, None, None)},
            findings={"shortcuts": "not marked."},
            limits=("308 of 624, 224 px copy.",),
        )
    )


def test_its_headings_are_those_of_mitchell_et_al(card: str) -> None:
    assert [line[3:] for line in card.splitlines() if line.startswith("## ")] == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and limits",
    ]


def test_it_says_what_it_is_no_substitute_for(card: str) -> None:
    assert SAFETY in card
    assert "never replaces" in SAFETY and "not a medical device" in SAFETY


def test_it_gives_counts_figures_with_intervals_and_no_figure_where_there_are_no_scans(card: str) -> None:
    assert "| train, pneumonia | 3,152 |" in card
    assert "| accuracy | 0.900 | 0.870 to 0.930 |" in card
    assert "| sensitivity viral | no scans |  |" in card
    assert "- The threshold, 0.6123, was chosen on validation scans." in card
    assert "- shortcuts: not marked." in card


def test_the_runs_own_limits_come_before_those_of_every_model(card: str) -> None:
    limits = card[card.index("## Caveats") :]
    assert limits.index("308 of 624") < limits.index(LIMITS[0])
