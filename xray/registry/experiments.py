"""How an experiment shows in MLflow's UI: a saved view with the columns and the charts that matter.

MLflow's own list shows no figure at all until somebody picks columns, and its charts are one a metric, over a hundred.
It keeps a view that a person saves in a tag of the experiment, as JSON; ours is written the same way and stands beside
theirs under "Views".
"""

import json
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment

VIEW = "xray"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
VIEW_NAME = "Figures that matter"
WORKFLOW = "workflowType=machine_learning"
"""Without it MLflow opens the pages that it has for language models."""

FIGURES = ("auc", "accuracy", "sensitivity", "specificity", "calibration_error")
METRICS = (*(f"test.{name}" for name in FIGURES), "validation.auc")
PARAMS = (
    "recipe",
    "images.height",
    "training.learning_rate",
    "training.epochs",
    "training.seed",
    "split.validation_fold",
)
TAGS = ("catalog", "git_commit")
CURVES = ("loss", "val_loss", "val_auc")
PARALLEL_PARAMS = ("images.height", "training.learning_rate")
PARALLEL_METRICS = ("validation.auc", "test.auc", "test.sensitivity", "test.specificity")
COLUMN_PIXELS = 110


def view_tags() -> dict[str, str]:
    """Give the tags that every experiment of ours bears, by name."""
    columns = [
        *(f"metrics.`{name}`" for name in METRICS),
        *(f"params.`{name}`" for name in PARAMS),
        *(f"tags.`{name}`" for name in TAGS),
    ]
    state = {
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(columns, COLUMN_PIXELS),
        "compareRunCharts": _charts(),
        # MLflow puts every other metric's chart into these two, and loses them where the sections are missing.
        "compareRunSections": [_section(name) for name in (VIEW_NAME, "Model metrics", "System metrics")],
    }
    # The times are required, and fixed: the same view is the same tag.
    view = {"name": VIEW_NAME, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return {VIEW_TAG: json.dumps(view)}


def set_up(client: MlflowClient, experiment: Experiment) -> None:
    """Give an experiment the view that it lacks, or has from an older version of this file.

    Raises:
        MlflowException: The store cannot be reached.
    """
    for name, value in view_tags().items():
        if experiment.tags.get(name) != value:
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


def _charts() -> list[dict[str, Any]]:
    plain = {"lineSmoothness": 0, "useGlobalLineSmoothing": True, "xAxisKey": "step", "useGlobalXaxisKey": True}
    curves = [_chart("LINE", name, metricKey=name, **plain) for name in CURVES]
    bars = [_chart("BAR", name, metricKey=name) for name in METRICS]
    axes = {"selectedParams": PARALLEL_PARAMS, "selectedMetrics": PARALLEL_METRICS}
    return [*curves, *bars, _chart("PARALLEL", "parallel", **axes, showAllRuns=False)]


def _chart(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    about = {"uuid": f"{VIEW}-{name}", "type": kind, "metricSectionId": _section(VIEW_NAME)["uuid"]}
    return {**about, "runsCountToCompare": 10, "deleted": False, "isGenerated": False, **settings}


def _section(name: str) -> dict[str, Any]:
    about = {"uuid": f"{VIEW}-{name.lower().replace(' ', '-')}", "name": name}
    return {**about, "display": name == VIEW_NAME, "isReordered": False, "deleted": False, "isGenerated": True}
