"""Registered models measured on labelled scans of somewhere else, as docs/measure-where-you-work.md shows it."""

import json
import re
from pathlib import Path

import pytest

from tests.system.typed import Documented, Shell, cheap

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Shell:
    """A home with a champion of 120 phantoms, and a second version of the same."""
    folder = tmp_path_factory.mktemp("external")
    (folder / "home").mkdir()
    shell = Shell(folder / "home", folder / "user", PREFECT_API_URL=prefect_url)
    shell("xray phantom theirs --scans 120 --size 64x64")
    shell("xray phantom our-scans --scans 100 --size 64x64 --seed 3 --layout dicom")
    for seed in (0, 1):
        shell(f"xray run theirs --recipe quick --set training.seed={seed} {cheap('training.seed')}")
    shell("xray promote 2 --force --reason 'a try on phantoms'")
    return shell


def test_a_champion_is_measured_on_labelled_scans(shell: Shell, documented: Documented) -> None:
    alone, both = documented
    first = documented.run(shell, alone).out
    assert "models:/xray-classifier/2 on our-scans" in first
    report = Path(re.findall(r"^report +(\S+)", first, re.MULTILINE)[0]).read_text()
    assert "xray-classifier version 2 on phantoms" in report
    assert "These are phantoms" in report
    assert "sex F" in first, "what the tags say makes slices"
    again = documented.run(shell, both)
    assert "models:/xray-classifier/2 against" not in again.out
    assert "models:/xray-classifier/1 against models:/xray-classifier/2" in again.out
    assert "measuring models:/xray-classifier/2" not in again.err, "it was measured before"
    models = shell("xray models --json").out
    assert "Traceback" not in models
    for path in shell.folder.rglob("*"):
        inside = path.relative_to(shell.folder).as_posix()
        if path.is_file() and inside.startswith(("mlruns", "data/external")) and "/code/xray/" not in inside:
            assert b"PHANTOM-0" not in path.read_bytes(), inside
            assert b"IMG000" not in path.read_bytes(), inside


def test_a_rule_is_fitted_on_labelled_scans_and_is_a_version_of_its_own(shell: Shell, documented: Documented) -> None:
    (shown,) = documented
    fitted = documented.run(shell, shown).out
    assert "models:/xray-classifier/3" in fitted
    assert re.search(r"threshold +│ \d", fitted)
    again = documented.run(shell, shown).out
    assert "models:/xray-classifier/3" in again, "the same rule is the same version"
    (scan,) = sorted((shell.folder / "our-scans" / "NORMAL").iterdir())[:1]
    answers = [
        json.loads(shell(f"xray predict {scan} --model models:/xray-classifier/{version} --json").out)[0]
        for version in (2, 3)
    ]
    assert answers[0]["p_pneumonia_raw"] == pytest.approx(answers[1]["p_pneumonia_raw"], abs=1e-6), "the same weights"
    assert answers[0]["threshold"] != answers[1]["threshold"]
    measured = shell("xray evaluate our-scans --model models:/xray-classifier/3").out
    assert "models:/xray-classifier/3 on our-scans" in measured
    shell("xray promote 3 --force --reason 'a rule for our scans'")
    assert "xray-classifier/3" in shell(f"xray predict {scan} --json").out
    few = shell("xray recalibrate our-scans --threshold 'sensitivity>=0.999'", code=2).err
    assert "is fitted on at least 1250 scans of each label" in few
    assert shell("xray recalibrate our-scans --threshold perhaps", code=2).err.startswith("xray: --threshold")


def test_a_promotion_may_be_judged_on_labelled_scans(shell: Shell, documented: Documented) -> None:
    (shown,) = documented
    shell(
        f"xray run theirs --recipe quick --set training.seed=2 {cheap('training.seed')} --set registry.challenger=true"
    )
    lax = {"min_sensitivity": 0, "min_specificity": 0, "max_calibration_error": 1}
    lax |= {f"margin_{name}": 1 for name in ("auc", "sensitivity", "specificity")}
    settings = " ".join(f"--set promotion.{name}={value}" for name, value in lax.items())
    judged = documented.run(shell, shown, more=settings)
    assert "100 external scans" in judged.out
    few = shell(f"xray promote 1 --on our-scans {settings} --set promotion.external_scans=101", code=2).err
    assert "needs at least 101 of 50 patients" in few
    assert "Received: 100 of" in few
    known = shell(f"xray promote 1 --on theirs {settings}", code=2).err
    assert "must not be measured on scans that it has learnt from" in known
    gone = shell(f"xray promote 1 {settings} --set promotion.external=nowhere", code=2).err
    assert "nowhere" in gone


def test_what_it_has_learnt_from_is_refused_or_left_out(shell: Shell) -> None:
    refused = shell("xray evaluate theirs", code=2).err
    assert "must not be measured on scans that it has learnt from; --learnt leave-out" in refused
    assert "Received: 102 of 120" in refused
    left = shell("xray evaluate theirs --learnt leave-out").out
    assert "102 of 120 scans were left out, since a model has learnt from them" in left


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("xray evaluate nowhere", "nowhere"),
        ("xray evaluate our-scans --model models:/other/1", "must be registered"),
        ("xray evaluate our-scans --model models:/xray-classifier/9", "Received: xray-classifier version 9"),
        ("xray evaluate our-scans --model 3", "--model must be models:/NAME/VERSION"),
        ("xray evaluate our-scans --model models:/xray-classifier@other", "must bear the alias other"),
        ("xray evaluate our-scans --learnt perhaps", "--learnt must be refuse or leave-out"),
    ],
)
def test_a_mistake_ends_in_one_line(shell: Shell, command: str, words: str) -> None:
    said = shell(command, code=2).err.strip().splitlines()[-1]
    assert said.startswith("xray: ")
    assert words in said
