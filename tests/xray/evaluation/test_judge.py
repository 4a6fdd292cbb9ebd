"""A trained network is scored, judged and pictured once."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.xray.conftest import Learned
from xray.evaluation.judge import Judged, judge
from xray.evaluation.report import labels_and_scores
from xray.evaluation.thresholds import choose_threshold
from xray.training.fit import Trained, train, training_digest


@pytest.fixture(scope="module")
def trained(prepared: Learned, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("judged") / training_digest(prepared.catalog, prepared.config)
    return train(prepared.catalog, prepared.store, prepared.config, folder)


@pytest.fixture(scope="module")
def judged(trained: Trained, prepared: Learned) -> Judged:
    return judge(trained, prepared.catalog, prepared.store, prepared.config)


def test_every_validation_and_test_scan_has_a_score(judged: Judged, prepared: Learned) -> None:
    rows = prepared.catalog.rows()
    scores = judged.scores()
    assert set(scores["image_id"]) == set(rows.loc[rows["split"] != "train", "image_id"])
    assert scores["p_pneumonia"].between(0, 1).all()


def test_the_threshold_is_validations_and_decides_test(judged: Judged, prepared: Learned) -> None:
    scores, threshold = judged.scores(), judged.report()["threshold"]
    validation = scores[scores["split"] == "validation"]
    assert threshold == choose_threshold(*labels_and_scores(validation), prepared.config.evaluation)
    assert ((scores["decision"] == "pneumonia") == (scores["p_pneumonia"] >= threshold)).all()


def test_the_report_counts_what_the_scores_say(judged: Judged) -> None:
    scores, report = judged.scores(), judged.report()
    test = scores[scores["split"] == "test"]
    right = (test["decision"] == test["label"]).mean()
    assert report["metrics"]["test.scans"] == len(test)
    assert report["metrics"]["test.accuracy"] == pytest.approx(right)
    assert report["metrics"]["test.accuracy_low"] <= right <= report["metrics"]["test.accuracy_high"]
    assert "validation.auc" in report["metrics"]
    assert [row[0] for row in report["rows"]][:3] == ["scans (patients)", "pneumonia", "threshold"]


def test_every_picture_is_there_and_shows_something(judged: Judged) -> None:
    names = [path.stem for path in judged.pictures()]
    assert names == [
        "calibration",
        "class_distribution",
        "confusion_matrix",
        "learning_curves",
        "precision_recall",
        "roc_curve",
        "scan_grid",
        "score_distribution",
    ]
    for path in judged.pictures():
        with Image.open(path) as picture:
            assert picture.width >= 800
            assert np.asarray(picture.convert("L")).std() > 5


def test_done_again_it_is_reused(judged: Judged, trained: Trained, prepared: Learned) -> None:
    again = judge(trained, prepared.catalog, prepared.store, prepared.config)
    assert again.reused
    assert again.folder == judged.folder


def test_other_settings_are_judged_beside_it(judged: Judged, trained: Trained, prepared: Learned) -> None:
    evaluation = prepared.config.evaluation.model_copy(update={"seed": 1})
    config = prepared.config.model_copy(update={"evaluation": evaluation})
    other = judge(trained, prepared.catalog, prepared.store, config)
    assert other.folder != judged.folder
    pd.testing.assert_frame_equal(other.scores(), judged.scores())
