"""Who a scan belongs to, by its name."""

import csv
from pathlib import Path

import pytest

from xray.data.sources.coronahack import METADATA_NAME
from xray.data.sources.words.patient_ids import RULES, Rule, patient_ids, source_of


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("cause", ["person12_virus", "person12_bacteria", "IM-0115", "NORMAL2-IM-0115", "IM-0115"]),
        ("person", ["person12", "person12", "IM-0115", "NORMAL2-IM-0115", "IM-0115"]),
        ("merged", ["person12", "person12", "IM-0115", "IM-0115", "IM-0115"]),
    ],
)
def test_each_rule_merges_more_than_the_one_before(rule: Rule, expected: list[str]) -> None:
    names = [
        "person12_virus_44.jpeg",
        "person12_bacteria_45.jpeg",
        "IM-0115-0001.jpeg",
        "NORMAL2-IM-0115-0001.jpeg",
        "IM-0115-0001-0002.jpeg",
    ]
    assert patient_ids(names, rule) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["streptococcus-pneumoniae-pneumonia-temporal-evolution-1-day0.jpg",
         "streptococcus-pneumoniae-pneumonia-temporal-evolution-1-day3.jpg"],
        ["jkms-35-e79-g001-l-a.jpg", "jkms-35-e79-g001-l-c.jpg"],
        ["41591_2020_819_Fig1_HTML.webp-day5.png", "41591_2020_819_Fig1_HTML.webp-day10.png"],
        ["SARS-10.1148rg.242035193-g04mr34g09a-Fig9a-day17.jpeg",
         "SARS-10.1148rg.242035193-g04mr34g09c-Fig9c-day27.jpeg"],
        ["1-s2.0-S1684118220300682-main.pdf-002-a1.png", "1-s2.0-S1684118220300682-main.pdf-002-a2.png"],
        ["covid-19-pneumonia-evolution-over-a-week-1-day0-PA.jpg",
         "covid-19-pneumonia-evolution-over-a-week-1-day3.jpg"],
    ],
)  # fmt: skip
def test_days_of_one_series_and_panels_of_one_figure_are_one_patient(names: list[str]) -> None:
    assert len(set(patient_ids(names, "cause"))) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["kjr-21-e24-g001-l-a.jpg", "kjr-21-e24-g002-l-a.jpg"],
        ["SARS-10.1148rg.242035193-g04mr34g07b-Fig7b-day12.jpeg",
         "SARS-10.1148rg.242035193-g04mr34g09b-Fig9b-day19.jpeg"],
        ["01E392EE-69F9-4E33-BFCE-E5C968654078.jpeg", "1312A392-67A3-4EBF-9319-810CF6DA5EF6.jpeg"],
        ["acute-respiratory-distress-syndrome-ards-1.jpg", "acute-respiratory-distress-syndrome-ards.jpg"],
    ],
)  # fmt: skip
def test_other_foreign_scans_are_patients_of_their_own(names: list[str]) -> None:
    assert len(set(patient_ids(names, "merged"))) == 2


def test_a_folder_in_a_name_does_not_hide_the_patient() -> None:
    assert patient_ids(["more/person12_virus_44.jpeg"], "merged") == ["person12"]


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="rule must be one of .* Received: guess"):
        patient_ids([], "guess")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("IM-0115-0001.jpeg", "IM"),
        ("NORMAL2-IM-0421-0001.jpeg", "NORMAL2"),
        ("person12_virus_44.jpeg", "person"),
        ("gr1_lrg-a.jpg", "foreign"),
        ("person12.jpeg", "foreign"),
        ("", "foreign"),
    ],
)
def test_the_name_tells_the_source(name: str, source: str) -> None:
    assert source_of(name) == source


@pytest.mark.real_data
def test_the_public_metadata_has_0_170_and_264_patients_on_both_sides(real_scans: Path) -> None:
    with open(real_scans / METADATA_NAME, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def patients(official: str, rule: Rule) -> set[str]:
        return set(patient_ids([row["X_ray_image_name"] for row in rows if row["Dataset_type"] == official], rule))

    shared = [len(patients("TRAIN", rule) & patients("TEST", rule)) for rule in RULES]
    assert shared == [0, 170, 264]
