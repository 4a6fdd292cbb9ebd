"""A challenger and a champion scored anew on the challenger's own scans. One judgement for most of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.xray.conftest import Learned
from tests.xray.promotion.contenders import NAME, contenders
from xray import config
from xray.config import Workspace
from xray.data.catalog import Catalog
from xray.errors import DamagedError, DataError, EvaluationError, RegistryError
from xray.evaluation.metrics.split_metrics import evaluate_split
from xray.files.artifact_folder import MANIFEST, seal
from xray.files.checked_io import read_json
from xray.promotion.challenge import ChampionComparison, compare_with_champion
from xray.promotion.decision_record import Challenge
from xray.scoring.select_model import score_files
from xray.tracking.store import store_of
from xray.training.predict import predict

pytestmark = pytest.mark.long(30)

POLICY = config.Promotion()
DRAWS = config.Evaluation(bootstrap_draws=200)
BOUT = Challenge(NAME, challenger="2", champion="1", number=2)


@pytest.fixture(scope="module")
def thresholds(prepared: Learned, network: Path) -> tuple[float, float]:
    """Two between which a third of the TEST scans' scores lie."""
    import keras

    pixels = prepared.store.read(list(prepared.catalog.rows("test")["sha256"]))
    low, high = np.quantile(predict(keras.saving.load_model(network), pixels)[:, 0], (1 / 3, 2 / 3))
    return float(low), float(high)


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory,
    migrated: Path,
    prepared: Learned,
    network: Path,
    thresholds: tuple[float, float],
) -> Workspace:
    return contenders(tmp_path_factory.mktemp("judgement") / "home", migrated, prepared, network, thresholds)


@pytest.fixture(scope="module")
def seen() -> list[tuple[int, int]]:
    """What the progress of the judgement was told."""
    return []


@pytest.fixture(scope="module")
def comparison(home: Workspace, seen: list[tuple[int, int]]) -> ChampionComparison:
    return compare_with_champion(home, BOUT, POLICY, DRAWS, progress=lambda done, total: seen.append((done, total)))


def test_both_are_judged_on_the_test_scans_each_at_its_own_threshold(
    comparison: ChampionComparison, home: Workspace, prepared: Learned, thresholds: tuple[float, float]
) -> None:
    rows = prepared.catalog.rows("test")
    files = [prepared.catalog.data / path for path in rows["path"]]
    p = [row["p_pneumonia"] for row in score_files(home, f"models:/{NAME}/1", files)]
    scored = rows.assign(p_pneumonia=p)
    assert comparison.champion is not None and comparison.comparison is not None
    for found, threshold in zip((comparison.champion, comparison.challenger), thresholds, strict=True):
        expected = evaluate_split(scored, threshold, DRAWS)
        assert (found.split, found.scans, found.patients) == ("test", len(rows), rows["patient_id"].nunique())
        assert found.chosen.threshold == threshold
        assert found.chosen.confusion == expected.chosen.confusion
        assert found.ranking["auc"].value == pytest.approx(expected.ranking["auc"].value, abs=1e-9)


def test_the_difference_is_challenger_minus_champion(comparison: ChampionComparison) -> None:
    assert comparison.champion is not None and comparison.comparison is not None
    found = comparison.comparison.differences["specificity"]
    mine = comparison.challenger.chosen.figures["specificity"].value
    assert found.difference.value > 0, "at the higher threshold"
    assert found.difference.value == pytest.approx(mine - comparison.champion.chosen.figures["specificity"].value)
    assert comparison.comparison.differences["auc"].difference.value == 0, "the same network"


def test_a_record_keeps_every_figure_and_json_takes_it_whole(comparison: ChampionComparison) -> None:
    metrics = comparison.metrics()
    names = {"scans", "challenger.auc", "champion.auc_low", "difference.auc", "difference.specificity_high"}
    assert names <= set(metrics)
    whole = json.loads(json.dumps(comparison.to_dict()))
    assert whole["bout"]["challenger"] == "2"
    assert [check["held"] for check in whole["checks"]] == [check.held for check in comparison.checks]
    assert len(comparison.checks) == 6 and comparison.holds == all(check.held for check in comparison.checks)


def test_progress_counts_the_scans_of_both(comparison: ChampionComparison, seen: list[tuple[int, int]]) -> None:
    scans = comparison.challenger.scans
    assert seen[-1] == (2 * scans, 2 * scans)
    assert (scans, 2 * scans) in seen


def test_judging_writes_nothing(comparison: ChampionComparison, home: Workspace) -> None:
    client = store_of(home).client()
    assert client.get_registered_model(NAME).aliases == {"challenger": 2}
    assert [each.name for each in client.search_experiments()] == ["xray-test", "Default"]


def test_scans_that_were_moved_are_named_and_found_where_the_user_says(
    comparison: ChampionComparison, home: Workspace, prepared: Learned, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"--data FOLDER says where the scans are now. Received: \S+ \(No such file"):
        compare_with_champion(home, BOUT, POLICY, DRAWS, data=tmp_path)
    shutil.copytree(str(prepared.catalog.data), tmp_path / "moved")
    spoilt = tmp_path / "moved" / prepared.catalog.rows("test")["path"][0]
    spoilt.write_bytes(spoilt.read_bytes() + b" ")
    with pytest.raises(DataError, match=rf"Received: {spoilt} \(changed\)$"):
        compare_with_champion(home, BOUT, POLICY, DRAWS, data=tmp_path / "moved")
    shutil.copy(prepared.catalog.data / prepared.catalog.rows("test")["path"][0], spoilt)
    alone = compare_with_champion(home, Challenge(NAME, "2", None, 1), POLICY, DRAWS, data=tmp_path / "moved")
    assert alone.scans == comparison.scans
    assert alone.challenger.chosen.confusion == comparison.challenger.chosen.confusion
    assert alone.champion is None and alone.comparison is None
    assert len(alone.checks) == 3, "without a champion the floors alone decide"


def test_a_champion_is_not_judged_on_what_it_has_learnt_from(
    home: Workspace, prepared: Learned, tmp_path: Path
) -> None:
    rows = prepared.catalog.rows()
    swapped = rows.assign(split=rows["split"].map({"train": "validation", "validation": "train", "test": "test"}))
    folder = home.prepared / "another"
    shutil.copytree(prepared.catalog.folder, folder)
    swapped.to_parquet(folder / "catalog.parquet")
    seal(folder, read_json(folder / MANIFEST))
    assert set(Catalog(folder, "another", tmp_path, reused=True).rows("train")["sha256"])
    client = store_of(home).client()
    client.set_tag(str(client.get_model_version(NAME, "1").run_id), "catalog", "another")
    try:
        with pytest.raises(EvaluationError, match="which version 1 was trained on$"):
            compare_with_champion(home, BOUT, config.Promotion(scans="validation"), DRAWS)
    finally:
        client.set_tag(str(client.get_model_version(NAME, "1").run_id), "catalog", prepared.catalog.digest)


def test_a_damaged_catalog_judges_nothing_and_the_line_says_what_makes_it_anew(
    home: Workspace, prepared: Learned, tmp_path: Path
) -> None:
    file = home.prepared / prepared.catalog.digest / "catalog.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(DamagedError, match=r"catalog\.parquet.*; xray run creates the catalog again"):
            compare_with_champion(home, BOUT, POLICY, DRAWS)
    finally:
        file.write_bytes(whole)


def test_a_version_without_a_run_of_ours_or_a_catalog_here_is_refused(home: Workspace, prepared: Learned) -> None:
    client = store_of(home).client()
    strange = client.create_model_version(NAME, source=Path(home.home).as_uri())
    with pytest.raises(RegistryError, match=f"from a run of this pipeline. Received: {NAME} version {strange.version}"):
        compare_with_champion(home, Challenge(NAME, str(strange.version), None, 1), POLICY, DRAWS)
    folder = home.prepared / prepared.catalog.digest
    folder.rename(home.prepared / "away")
    try:
        with pytest.raises(RegistryError, match="the challenger's catalog must be in --home"):
            compare_with_champion(home, BOUT, POLICY, DRAWS)
    finally:
        (home.prepared / "away").rename(folder)
