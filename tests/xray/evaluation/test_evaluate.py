"""A trained network is scored, judged and pictured once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.xray.conftest import Learned
from xray.config import Labels
from xray.evaluation.decision.thresholds import choose_threshold
from xray.evaluation.evaluate import Evaluated, evaluate
from xray.evaluation.metrics.split_metrics import labels_and_scores
from xray.training.fit import Trained, train
from xray.training.training_digest import training_digest


def test_every_validation_and_test_scan_has_a_score(evaluated: Evaluated, prepared: Learned) -> None:
    rows = prepared.catalog.rows()
    scores = evaluated.scores()
    assert set(scores["image_id"]) == set(rows.loc[rows["split"] != "train", "image_id"])
    assert scores["p_pneumonia"].between(0, 1).all()


def test_the_threshold_is_validations_and_decides_test(evaluated: Evaluated, prepared: Learned) -> None:
    scores, threshold = evaluated.scores(), evaluated.report()["threshold"]
    validation = scores[scores["split"] == "validation"]
    assert threshold == choose_threshold(*labels_and_scores(validation), prepared.config.evaluation)
    reading, decided = evaluated.reading(), scores[scores["decision"] != "refer"]
    assert reading.threshold == threshold
    assert ((decided["decision"] == "pneumonia") == (decided["p_pneumonia"] >= threshold)).all()
    assert (scores["decision"] == "refer").tolist() == reading.band.referred(scores["p_pneumonia"].to_numpy()).tolist()


def test_the_scores_are_calibrated_on_validation_and_the_networks_own_stand_beside(evaluated: Evaluated) -> None:
    scores, reading = evaluated.scores(), evaluated.reading()
    odds = scores["p_pneumonia_raw"] / (1 - scores["p_pneumonia_raw"])
    expected = odds ** (1 / reading.temperature)
    np.testing.assert_allclose(scores["p_pneumonia"] / (1 - scores["p_pneumonia"]), expected, rtol=1e-6)
    metrics = evaluated.report()["metrics"]
    assert metrics["temperature"] == reading.temperature != 1
    assert (metrics["test.brier_raw"] != metrics["test.brier"]) and ("test.calibration_error_raw_low" in metrics)


def test_the_report_counts_what_the_scores_say(evaluated: Evaluated) -> None:
    scores, report = evaluated.scores(), evaluated.report()
    test = scores[scores["split"] == "test"]
    right = ((test["p_pneumonia"] >= report["threshold"]) == (test["label"] == "pneumonia")).mean()
    assert report["metrics"]["test.scans"] == len(test)
    assert report["metrics"]["test.accuracy"] == pytest.approx(right)
    assert report["metrics"]["test.accuracy_low"] <= right <= report["metrics"]["test.accuracy_high"]
    assert "validation.auc" in report["metrics"]
    assert [row[0] for row in report["rows"]][:3] == ["scans (patients)", "pneumonia", "threshold"]
    assert report["metrics"]["test.referred"] == pytest.approx((test["decision"] == "refer").mean())


def test_test_is_also_judged_without_its_duplicate_images(evaluated: Evaluated, prepared: Learned) -> None:
    pixels = prepared.catalog.rows("test")["pixels_sha256"]
    assert evaluated.report()["metrics"]["test_distinct.scans"] == pixels.nunique()


@pytest.mark.slow
def test_of_several_causes_each_is_judged_against_the_rest_and_all_of_them_as_pneumonia(
    prepared: Learned, tmp_path: Path
) -> None:
    labels = Labels(scheme="cause", class_weights="balanced")
    config = prepared.config.model_copy(update={"labels": labels})
    digest = training_digest(prepared.catalog, config)
    assert digest != training_digest(prepared.catalog, prepared.config)
    trained = train(prepared.catalog, prepared.store, config, tmp_path / digest)
    found = evaluate(trained, prepared.catalog, prepared.store, config)
    scores, metrics = found.scores(), found.report()["metrics"]
    classes = ["normal", "bacterial", "viral"]
    assert set(scores["likeliest_class"]) <= set(classes)
    np.testing.assert_allclose(scores[[f"p_{name}" for name in classes]].sum(axis=1), 1)
    np.testing.assert_allclose(scores["p_pneumonia"], 1 - scores["p_normal"])
    assert {"test.auc", "test_classes.auc_viral", "test_classes.macro_auc", "validation_classes.accuracy"} <= set(
        metrics
    )
    assert "Classes on TEST" in found.report()["tables"]
    assert {"class_confusion", "class_rocs"} <= {path.stem for path in found.plots()}

    disease = Labels(scheme="lungs", finding="disease", classes=("normal", "bacterial", "viral"))
    evaluation = config.evaluation.model_copy(update={"seed": 1})
    config = config.model_copy(update={"labels": disease, "evaluation": evaluation})
    other = evaluate(trained, prepared.catalog, prepared.store, config)
    assert set(other.scores()["label"]) == {"disease", "normal"}
    np.testing.assert_allclose(other.scores()["p_disease"], scores["p_pneumonia"])
    assert set(other.scores()["decision"]) <= {"disease", "normal", "refer"}
    assert other.report()["metrics"]["test_classes.auc_viral"] == metrics["test_classes.auc_viral"]
    assert "test.sensitivity_viral" not in other.report()["metrics"]
    assert "pneumonia" not in (other.folder / "evaluation.json").read_text()


def test_every_picture_is_there_and_shows_something(evaluated: Evaluated) -> None:
    names = [path.stem for path in evaluated.plots()]
    assert names == [
        "calibration",
        "class_distribution",
        "confusion_matrix",
        "learning_curves",
        "precision_recall",
        "referral",
        "roc_curve",
        "scan_grid",
        "score_distribution",
    ]
    for path in evaluated.plots():
        with Image.open(path) as picture:
            assert picture.width >= 800
            assert np.asarray(picture.convert("L")).std() > 5


def test_done_again_it_is_reused(evaluated: Evaluated, trained: Trained, prepared: Learned) -> None:
    again = evaluate(trained, prepared.catalog, prepared.store, prepared.config)
    assert again.reused
    assert again.folder == evaluated.folder


def test_other_settings_are_judged_beside_it(evaluated: Evaluated, trained: Trained, prepared: Learned) -> None:
    evaluation = prepared.config.evaluation.model_copy(update={"seed": 1})
    config = prepared.config.model_copy(update={"evaluation": evaluation})
    other = evaluate(trained, prepared.catalog, prepared.store, config)
    assert other.folder != evaluated.folder
    pd.testing.assert_frame_equal(other.scores(), evaluated.scores())
