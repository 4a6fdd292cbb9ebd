"""Runs as a judged training leaves them, with scores that a test chooses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xray.config import Evaluation, Images, Registry, Workspace
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.metrics.split_metrics import evaluate_split
from xray.models.package import Settings
from xray.models.register import Registration, register
from xray.tracking.run_artifacts import Evidence, log_evidence
from xray.tracking.run_identity import LOOK, DataSet, RunFacts
from xray.tracking.store import store_of
from xray.tracking.tracker import open_run

EXPERIMENT = "xray-test"
DRAWS = 200


def scores_of(noise: float, scans: int = 40, seed: int = 0) -> pd.DataFrame:
    """Scores of validation and TEST scans, two a patient; the less noise, the better."""
    place = np.arange(scans)
    positive = place % 2 == 1
    p = np.where(positive, 0.7, 0.3) + np.random.default_rng(seed).normal(scale=noise, size=scans)
    test = pd.DataFrame(
        {
            "image_id": [f"scan{number}.png" for number in place],
            "sha256": [f"{number:016x}" for number in place],
            "patient_id": [f"person{number // 2}" for number in place],
            "label": np.where(positive, "pneumonia", "normal"),
            "subtype": np.where(positive, "viral", "normal"),
            "split": "test",
            "p_pneumonia": p.clip(0, 1),
        }
    )
    validation = test.assign(split="validation", image_id=lambda rows: "v" + rows["image_id"])
    return pd.concat([validation, test], ignore_index=True)


def judged_run(
    workspace: Workspace,
    name: str,
    scores: pd.DataFrame,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str | None] | None = None,
    threshold: float = 0.5,
) -> str:
    """Record a run with its evaluation, and give its id."""
    folder = workspace.trainings / name
    folder.mkdir(parents=True, exist_ok=True)
    facts = RunFacts(
        experiment=EXPERIMENT,
        name=name,
        params={"recipe": "quick", "evaluation.bootstrap_draws": DRAWS, "about.expect": name, **(params or {})},
        tags={"catalog": "0123456789abcdef", "normalizer": "fedcba9876543210", "git_commit": "abc", **(tags or {})},
        data=DataSet("phantoms", "0123456789abcdef", "/somewhere/scans"),
    )
    tracker = open_run(workspace, folder, facts)
    figures: dict[str, float] = {}
    for _, rows in scores.groupby("split"):
        figures |= evaluate_split(rows.reset_index(drop=True), threshold, Evaluation(bootstrap_draws=DRAWS)).flat()
    log_evidence(tracker, name, lambda: Evidence(figures, [], scores, "# card"))
    tracker.finish()
    return tracker.require()[1]


def written_over(workspace: Workspace, network: Path, kept: Sequence[float], now: float) -> str:
    """Register versions of one run, as an older xray did that let each evaluation write over the one before.

    Args:
        workspace: A home.
        network: A `model.keras` for 32 x 32.
        kept: The threshold of each version, the first one's first.
        now: The threshold whose figures the run has.

    Returns:
        The run's id.
    """
    run_id = judged_run(workspace, "shared", scores_of(0.2), threshold=now)
    client = store_of(workspace).client()
    facts = RunFacts(EXPERIMENT, "shared", {}, {}, DataSet("phantoms", "0123456789abcdef", "/somewhere/scans"))
    tracker = open_run(workspace, workspace.trainings / "shared", facts)
    for number, threshold in enumerate(kept):
        client.set_tag(run_id, f"{LOOK}0123.{number}", "{}")
        settings = Settings.of(Images(height=32, width=32), DecisionRule.at(threshold))
        register(tracker, network, settings, Registration(Registry(model_name="xray-test"), {}, "# card"))
    return run_id
