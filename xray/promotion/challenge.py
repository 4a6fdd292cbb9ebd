"""A challenger compared with the champion: both score the same scans again, and the policy is applied.

Nothing here moves an alias or writes a record.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Run

from xray import config
from xray.config import Workspace
from xray.data.privacy import names_kept, paths_of
from xray.data.verify_scans import verified_files
from xray.errors import DamagedError, EvaluationError, RegistryError
from xray.evaluation.metrics.bootstrap import flat_estimates
from xray.evaluation.metrics.paired_comparison import Comparison, compare
from xray.evaluation.metrics.split_metrics import Evaluation, evaluate_split, with_finding
from xray.external.answers import find_version
from xray.external.evaluate_version import without_learnt
from xray.external.labelled_set import LabelledSet, read_labelled_set
from xray.files.s3 import DataPath, data_path
from xray.labels import finding_in, p_column
from xray.models.trained_on import catalog_of, run_of_version
from xray.progress import Progress
from xray.promotion.decision_record import Challenge
from xray.promotion.policy import Check, check_all
from xray.scoring.local_pool import fetched, score_isolated
from xray.tracking.test_set_use import scans_digest

COLUMNS = ["image_id", "path", "sha256", "patient_id", "label", "subtype", "split"]


@dataclass(frozen=True)
class ChampionComparison:
    """The comparison of a challenger with the champion.

    Attributes:
        challenge: Who was judged.
        catalog: Digest of the catalog, or of the labelled set, that names the scans.
        scans: Digest of the scans themselves.
        challenger: The challenger's figures, at its own threshold.
        champion: The champion's, at its own; None where there is none.
        comparison: Champion first, challenger second; None where no champion.
        policy: What was asked.
        evaluation: How the intervals were drawn.
        checks: Each rule of it, and whether it held.
    """

    challenge: Challenge
    catalog: str
    scans: str
    challenger: Evaluation
    champion: Evaluation | None
    comparison: Comparison | None
    policy: config.Promotion
    evaluation: config.Evaluation
    checks: list[Check]

    @property
    def holds(self) -> bool:
        """Whether every rule of the policy passes."""
        return all(check.held for check in self.checks)

    def metrics(self) -> dict[str, float]:
        """Name every figure, with its interval, as a record keeps it: `challenger.auc`, `difference.auc_low`."""
        numbers: dict[str, float] = {"scans": self.challenger.scans, "patients": self.challenger.patients}
        for who, evaluation in (("challenger", self.challenger), ("champion", self.champion)):
            if evaluation is not None:
                numbers[f"{who}.threshold"] = evaluation.chosen.threshold
                numbers |= flat_estimates(who, {**evaluation.ranking, **evaluation.chosen.figures})
        if self.comparison is not None:
            found = {name: each.difference for name, each in self.comparison.differences.items()}
            numbers |= flat_estimates("difference", found)
        return numbers

    def to_dict(self) -> dict[str, Any]:
        """Give the whole evaluation as JSON-like values."""
        mcnemar = asdict(self.comparison.mcnemar) if self.comparison is not None else None
        return {
            "bout": asdict(self.challenge),
            "catalog": self.catalog,
            "scans": self.scans,
            "split": self.challenger.split,
            "policy": self.policy.model_dump(mode="json"),
            "evaluation": self.evaluation.model_dump(mode="json"),
            "holds": self.holds,
            "checks": [asdict(check) for check in self.checks],
            "metrics": self.metrics(),
            "mcnemar": mcnemar,
        }


@dataclass(frozen=True)
class NotCompared:
    """A challenger that could not be evaluated.

    Attributes:
        why: The reason, in words.
    """

    why: str


def compare_with_champion(
    workspace: Workspace,
    challenge: Challenge,
    policy: config.Promotion,
    evaluation: config.Evaluation,
    data: DataPath | None = None,
    progress: Progress | None = None,
    on: DataPath | None = None,
) -> ChampionComparison:
    """Score both models on the challenger's own scans, from their files, and hold the outcome against the policy.

    Where labelled scans are given, or the policy names some, they judge in place of the challenger's own.

    Args:
        workspace: Where catalogs and MLflow's store lie.
        challenge: Who against whom.
        policy: Which scans judge, floors and margins.
        evaluation: Seed and draws of the bootstrap.
        data: Where the scans lie now; None for where the challenger's run found them.
        progress: Called with (scans scored, of how many), over both models.
        on: Labelled scans that judge; None for those that the policy names, if any.

    Raises:
        RegistryError: A version has no run of ours, cannot be loaded, or the store cannot be reached.
        DataError: A scan is missing or was changed.
        S3Error: The server that has the scans cannot be reached or refuses.
        EvaluationError: The champion was trained on the scans, a model cannot read one, or they cannot be judged.
    """
    run = run_of_version(workspace, challenge.model_name, challenge.challenger)
    if run is None:
        raise RegistryError(
            "the version must come from a run of this pipeline. "
            f"Received: {challenge.model_name} version {challenge.challenger}"
        )
    elsewhere = on or (data_path(policy.external) if policy.external else None)
    if elsewhere is None:
        rows, place, catalog = *_scans(workspace, run, policy, data), run.data.tags["catalog"]
    else:
        labelled = _elsewhere(workspace, challenge, policy, elsewhere)
        rows, place, catalog = labelled.rows, labelled.data, labelled.digest
    versions = [challenge.challenger, *([] if challenge.champion is None else [challenge.champion])]
    tables, thresholds = [], []
    with names_kept(rows, place), verified_files(place, zip(rows["path"], rows["sha256"], strict=True)) as files:
        if challenge.champion is not None and elsewhere is None:
            _require_unseen(workspace, challenge, rows, policy)
        for number, version in enumerate(versions):
            report = _shifted(progress, number, len(versions))
            table, threshold = _scored(workspace, f"models:/{challenge.model_name}/{version}", rows, files, report)
            tables.append(table)
            thresholds.append(threshold)
    found = [evaluate_split(table, at, evaluation) for table, at in zip(tables, thresholds, strict=True)]
    alone = challenge.champion is None
    comparison = None if alone else compare(tables[1], tables[0], (thresholds[1], thresholds[0]), evaluation)
    return ChampionComparison(
        challenge=challenge,
        catalog=catalog,
        scans=scans_digest(rows["sha256"]),
        challenger=found[0],
        champion=None if alone else found[1],
        comparison=comparison,
        policy=policy,
        evaluation=evaluation,
        checks=check_all(found[0], comparison, policy, _is_marked(run)),
    )


def _is_marked(run: Run) -> bool | None:
    """Whether the challenger's own run marks it as hardly needing the lungs; None if it does not say."""
    marked = run.data.metrics.get("shortcut.marked")
    return None if marked is None else bool(marked)


def _elsewhere(workspace: Workspace, challenge: Challenge, policy: config.Promotion, data: DataPath) -> LabelledSet:
    """Read the labelled scans that judge in place of TEST: enough of them, and none that either model knows."""
    numbers = [challenge.challenger, *([] if challenge.champion is None else [challenge.champion])]
    versions = [find_version(workspace, f"models:/{challenge.model_name}/{number}") for number in numbers]
    labelled = without_learnt(read_labelled_set([data], workspace), versions, leave_out=False)
    if len(labelled.rows) < policy.external_scans or labelled.patients < policy.external_patients:
        raise EvaluationError(
            f"a promotion on other scans needs at least {policy.external_scans} of {policy.external_patients} patients "
            f"(promotion.external_scans, promotion.external_patients). Received: {len(labelled.rows)} of "
            f"{labelled.patients}"
        )
    return labelled


def _scans(
    workspace: Workspace, run: Run, policy: config.Promotion, data: DataPath | None
) -> tuple[pd.DataFrame, DataPath]:
    catalog = catalog_of(workspace, run)
    if catalog is None:
        raise RegistryError(
            "the challenger's catalog must be in --home, where its run prepared it. Received: no folder "
            f"{workspace.prepared / run.data.tags['catalog']}"
        )
    try:
        rows = catalog.rows(policy.scans)[COLUMNS]
        return rows.assign(path=paths_of(rows["path"], workspace, catalog.data)), data or catalog.data
    except DamagedError as damage:
        raise DamagedError(damage.path, f"{damage.reason}; xray run creates the catalog again") from damage


def _require_unseen(workspace: Workspace, challenge: Challenge, rows: pd.DataFrame, policy: config.Promotion) -> None:
    """Refuse training scans of the champion, if its catalog still exists."""
    run = run_of_version(workspace, challenge.model_name, str(challenge.champion))
    catalog = None if run is None else catalog_of(workspace, run)
    learnt = set() if catalog is None else set(catalog.rows("train")["sha256"])
    seen = int(rows["sha256"].isin(learnt).sum())
    if seen:
        other = "; set promotion.scans=test" if policy.scans != "test" else ": its data set was split otherwise"
        raise EvaluationError(
            f"the scans of the evaluation must not be training scans of the champion{other}. "
            f"Received: {seen:,} of {len(rows):,}, which version {challenge.champion} was trained on"
        )


def _scored(
    workspace: Workspace, uri: str, rows: pd.DataFrame, files: list[Path], progress: Progress | None
) -> tuple[pd.DataFrame, float]:
    with fetched(workspace, uri) as folder:
        answer = score_isolated(folder, files, progress)
    finding = finding_in(answer.columns)
    column = p_column(finding)
    unread = answer[answer[column].isna()]
    if len(unread):
        first = unread.index[0]
        name = rows["image_id"].iloc[int(first)]
        raise EvaluationError(
            f"both models must be able to read every scan of the evaluation. Received: {uri} on {name}: "
            f"{unread['error'][first]}, and {len(unread) - 1:,} others"
        )
    # joined by the digest of the bytes that were scored: copies of a file have one score
    p = answer.drop_duplicates("sha256").set_index("sha256")[column]
    scored = with_finding(rows, finding).assign(**{column: rows["sha256"].map(p)})
    if scored[column].isna().any():
        name = rows["image_id"][scored[column].isna()].iloc[0]
        raise EvaluationError(f"scans must not change during scoring. Received: {name}")
    return scored, float(answer["threshold"].iloc[0])


def _shifted(progress: Progress | None, place: int, models: int) -> Progress | None:
    """Count the scans of one model among those of all."""
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, models * total)
