"""A run's configuration read back from MLflow, which keeps every param as text: the one place that knows how."""

import json
from collections.abc import Mapping

from mlflow.entities import Run
from pydantic import ValidationError

from xray import config

CHANGED_TAG = "xray.params_changed_later"
"""Holds, as JSON, what a run went on with where that is not what it began with; MLflow never changes a param."""

EVALUATION = "evaluation"
"""The param that names the evaluation whose figures a run holds; it is no setting."""

NONE = "None"
"""How MLflow keeps a param without a value."""


def settings_of(run: Run) -> dict[str, str]:
    """Give the settings that a run ended with, by their dotted keys, as MLflow keeps them: text."""
    changed = json.loads(run.data.tags.get(CHANGED_TAG, "{}"))
    return {name: value for name, value in {**run.data.params, **changed}.items() if name != EVALUATION}


def evaluation_of(settings: Mapping[str, str]) -> config.Evaluation:
    """Read how a run was judged.

    Another version of this code may have written the run. A setting that this one does not know is left out, and one
    that is missing, or whose value this one does not take, is at its default.

    Args:
        settings: By their dotted keys, as `settings_of` gives them.
    """
    section, known = config.Evaluation, {}
    for name in section.model_fields:
        text = settings.get(f"evaluation.{name}")
        if text is not None and text != NONE:
            try:
                known[name] = getattr(section.model_validate({name: text}), name)
            except ValidationError:
                continue
    return section(**known)
