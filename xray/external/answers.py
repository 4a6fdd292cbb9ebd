"""A registered version's answers on labelled scans, each by the code it was kept with."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from xray.config import Workspace
from xray.data.privacy import names_kept
from xray.data.verify_scans import verified_files
from xray.errors import RegistryError
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.metrics.split_metrics import with_finding
from xray.external.labelled_set import LabelledSet
from xray.labels import class_columns, decide, finding_in, p_column, raw_column
from xray.models.registered_model import RegisteredModel
from xray.models.trained_on import catalog_of, run_of_version
from xray.progress import Progress
from xray.scoring.local_pool import fetched, score_isolated
from xray.scoring.log_to_mlflow import digest_of_version
from xray.tracking.run_artifacts import metrics_in_file
from xray.tracking.store import reached, store_of


@dataclass(frozen=True)
class MeasuredVersion:
    """A registered version that is measured.

    Attributes:
        name: The registered model.
        version: Its version, from "1".
        digest: Of its content.
        run: The training's run that it comes from; None where there is none of ours.
        home: The figures of that run by name.
        learnt: Digests of the files that it has learnt from; None where its catalog is not in this home.
        experiment: The experiment of that run, or empty.
    """

    name: str
    version: str
    digest: str
    run: Run | None
    home: Mapping[str, float]
    learnt: frozenset[str] | None
    experiment: str = ""

    @property
    def uri(self) -> str:
        """Its address."""
        return f"models:/{self.name}/{self.version}"


def find_version(workspace: Workspace, uri: str) -> MeasuredVersion:
    """Find a registered version by its address, `models:/NAME/3` or `models:/NAME@champion`.

    Raises:
        RegistryError: There is none, or the store cannot be reached.
    """
    name, at, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = name.partition("/") if not at else (name, "", "")
    if not uri.startswith("models:/") or not name or not (alias or number):
        raise RegistryError(f"--model must be models:/NAME/VERSION or models:/NAME@ALIAS. Received: {uri}")
    model = RegisteredModel(workspace, name)
    if alias:
        found = model.aliases().get(alias)
        if found is None:
            raise RegistryError(f"a version must bear the alias {alias}. Received: none of {name}")
        number = found
    model.version(number)
    run = run_of_version(workspace, name, number)
    catalog = None if run is None else catalog_of(workspace, run)
    home, experiment = dict[str, float](), ""
    if run is not None:
        store = store_of(workspace)
        client = store.client()
        with reached(store):
            home = {**run.data.metrics}
            experiment = client.get_experiment(run.info.experiment_id).name
            with suppress(MlflowException):  # an older run has no such file
                home |= metrics_in_file(client, str(run.info.run_id))
    learnt = None
    if catalog is not None:
        rows = catalog.rows()
        learnt = frozenset(rows.loc[rows["split"] != "test", "sha256"])
    return MeasuredVersion(
        name, number, digest_of_version(workspace, f"{name}/{number}") or uri, run, home, learnt, experiment
    )


def answered(
    workspace: Workspace, version: MeasuredVersion, labelled: LabelledSet, progress: Progress | None = None
) -> tuple[pd.DataFrame, DecisionRule, list[str]]:
    """Have a version answer on every scan.

    Args:
        workspace: Where MLflow's store lies.
        version: Which one.
        labelled: The scans.
        progress: Called with (scans done, of how many).

    Returns:
        The set's rows with the version's answer, without the scans that it could not read; its decision rule; and
        what a reader should know.

    Raises:
        DataError: A scan is missing or was changed.
        RegistryError: The version cannot be loaded, or the store cannot be reached.
    """
    rows = labelled.rows
    with (
        names_kept(rows, labelled.data),
        verified_files(labelled.data, zip(rows["path"], rows["sha256"], strict=True)) as files,
        fetched(workspace, version.uri) as folder,
    ):
        answer = score_isolated(folder, files, progress)
        finding = finding_in(answer.columns)
        reading = _reading(folder, float(answer["threshold"].iloc[0]), finding)
    column, raw = p_column(finding), raw_column(finding)
    answer = answer.reset_index(drop=True)
    table = with_finding(rows, finding).assign(**{column: answer[column]})
    table[raw] = answer[raw] if raw in answer else answer[column]
    for name in class_columns(reading.classes):
        table[name] = answer.get(name, np.nan)
    read = table[column].notna()
    decided = decide(table[column].to_numpy(), reading.threshold, finding=finding)
    table["decision"] = answer.get("decision", pd.Series(decided))
    notes = [f"{int((~read).sum()):,} scans could not be read by the model: left out"] if not read.all() else []
    return table[read].reset_index(drop=True), reading, notes


def _reading(folder: Path, threshold: float, finding: str) -> DecisionRule:
    """Read a kept model's decision rule; of one that is older than ours, its threshold."""
    for path in sorted(folder.glob("artifacts/*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            return DecisionRule.from_dict(json.loads(path.read_text(encoding="utf-8"))["reading"])
    return DecisionRule(threshold, threshold, threshold, finding=finding)
