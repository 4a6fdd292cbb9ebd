"""An experiment's description and its saved view in MLflow's UI, with the main columns and charts.

MLflow's own list shows no figure at all until somebody picks columns, and its charts are one a metric. It keeps a view
that a person saves in a tag of the experiment, as JSON; ours is written the same way and stands beside theirs under
"Views". Trainings, runs over an inbox and decisions have an experiment each, with a view that fits them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment

from xray.evaluation.metrics.names import SHOWN

VIEW = "xray"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
VIEW_NAME = "Main metrics"

NOTE_TAG = "mlflow.note.content"
"""Holds what MLflow shows as the description of a run or an experiment, Markdown."""

WORKFLOW = "workflowType=machine_learning"
"""Without it MLflow opens the pages that it has for language models."""

SCORING, DECISIONS, EXTERNAL = "-scoring", "-decisions", "-external"
"""Ends of the names of experiments: of runs over an inbox, and of what was decided about a model."""

COLUMN_PIXELS = 110


@dataclass(frozen=True)
class View:
    """What an experiment's runs are compared by.

    Attributes:
        about: What the experiment is, Markdown.
        metrics: Columns, and a bar chart each.
        params: Columns.
        tags: Columns.
        curves: Line charts.
        axes: Params and metrics of the parallel coordinates; none draws no such chart.
    """

    about: str
    metrics: Sequence[str]
    params: Sequence[str] = ()
    tags: Sequence[str] = ()
    curves: Sequence[str] = ()
    axes: tuple[Sequence[str], Sequence[str]] = ((), ())


TRAININGS = View(
    about="A run for each training and evaluation: settings, curves, metrics on TEST with 95 % intervals, and as files "
    "`report.html`, every scan's score and, in `metrics.json`, every metric. Another threshold rule for the same "
    "network has its own run. `xray compare` says which differences are significant.",
    metrics=(*(f"test.{name}" for name in SHOWN), "validation.auc"),
    params=(
        "recipe", "images.height", "training.learning_rate", "training.epochs", "training.seed",
        "split.validation_fold", "evaluation.threshold",
    ),
    tags=("catalog", "git_commit"),
    curves=("loss", "val_loss", "val_auc"),
    axes=(
        ("images.height", "training.learning_rate"),
        ("validation.auc", "test.auc", "test.sensitivity", "test.specificity"),
    ),
)  # fmt: skip

RUNS_OVER_AN_INBOX = View(
    about="A run for each time that `xray score` scored new scans: how many, how many were called the finding, and how "
    "far they differ from the scans that the model was made from. The scores themselves stay in the ledger.",
    metrics=("scans", "rejects", "called_pneumonia", "mean_p_pneumonia", "drift.alarms"),
    tags=("model_version",),
)

ELSEWHERE = View(
    about="A run for each version that `xray evaluate` has measured on labelled scans of somewhere else: its figures "
    "there with 95 % intervals, and in `report.html` beside them those on its own TEST.",
    metrics=tuple(f"external.{name}" for name in (*SHOWN, "scans", "patients")),
    tags=("model_version", "measured_on"),
)

MOVES = View(
    about="A run for each decision about a model: promotions, refusals, rollbacks, and aliases changed outside xray. "
    "`decision.json` has the whole evaluation; `xray history` lists them.",
    metrics=(
        "challenger.auc", "champion.auc", "difference.auc", "difference.sensitivity", "difference.specificity", "looks"
    ),
    tags=("verdict", "kind", "from", "to", "by", "reason"),
)  # fmt: skip


def view_of(experiment: str) -> View:
    """Choose the view that fits an experiment, by its name."""
    kinds = {SCORING: RUNS_OVER_AN_INBOX, DECISIONS: MOVES, EXTERNAL: ELSEWHERE}
    return next((view for end, view in kinds.items() if experiment.endswith(end)), TRAININGS)


def tags_of(experiment: str) -> dict[str, str]:
    """Give the tags that an experiment of ours bears: its view and its description.

    Args:
        experiment: The experiment's name.
    """
    view = view_of(experiment)
    columns = [
        *(f"metrics.`{name}`" for name in view.metrics),
        *(f"params.`{name}`" for name in view.params),
        *(f"tags.`{name}`" for name in view.tags),
    ]
    state = {
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(columns, COLUMN_PIXELS),
        "compareRunCharts": _charts(view),
        # MLflow puts every other metric's chart into these two, and loses them where the sections are missing.
        "compareRunSections": [_section(name) for name in (VIEW_NAME, "Model metrics", "System metrics")],
    }
    # The times are required, and fixed: the same view is the same tag.
    saved = {"name": VIEW_NAME, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return {VIEW_TAG: json.dumps(saved), NOTE_TAG: view.about}


def set_up(client: MlflowClient, experiment: Experiment) -> None:
    """Give an experiment the view that it lacks, or has from an older version of this file, and a description if none.

    Raises:
        MlflowException: The store cannot be reached.
    """
    for name, value in tags_of(experiment.name).items():
        there = experiment.tags.get(name)
        if there is None or (name == VIEW_TAG and there != value):
            client.set_experiment_tag(experiment.experiment_id, name, value)


def runs_page(base_url: str, experiment_id: str) -> str:
    """Give the address of an experiment's runs in MLflow's UI, under the view.

    Args:
        base_url: The server's, such as `http://127.0.0.1:5000`.
        experiment_id: The experiment's id.
    """
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}&{WORKFLOW}"


def run_page(base_url: str, experiment_id: str, run_id: str) -> str:
    """Give the address of one run in MLflow's UI.

    Args:
        base_url: The server's, such as `http://127.0.0.1:5000`.
        experiment_id: The experiment's id.
        run_id: The run's id.
    """
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}?{WORKFLOW}"


def _charts(view: View) -> list[dict[str, Any]]:
    plain = {"lineSmoothness": 0, "useGlobalLineSmoothing": True, "xAxisKey": "step", "useGlobalXaxisKey": True}
    curves = [_chart("LINE", name, metricKey=name, **plain) for name in view.curves]
    bars = [_chart("BAR", name, metricKey=name) for name in view.metrics]
    params, metrics = view.axes
    axes = {"selectedParams": params, "selectedMetrics": metrics}
    return [*curves, *bars, *([_chart("PARALLEL", "parallel", **axes, showAllRuns=False)] if metrics else [])]


def _chart(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    about = {"uuid": f"{VIEW}-{name}", "type": kind, "metricSectionId": _section(VIEW_NAME)["uuid"]}
    return {**about, "runsCountToCompare": 10, "deleted": False, "isGenerated": False, **settings}


def _section(name: str) -> dict[str, Any]:
    about = {"uuid": f"{VIEW}-{name.lower().replace(' ', '-')}", "name": name}
    return {**about, "display": name == VIEW_NAME, "isReordered": False, "deleted": False, "isGenerated": True}
