"""One training with several seeds: a run for each, below the run of their averaged ensemble.

A seed's run is the run of its training folder, as a fold's is: the first one's is the very run of a plain training,
with its registered model if it has one. The parent is the run of the ensemble's own folder, one for each evaluation.
It bears the ensemble's figures under the names that every run has, and the mean and spread of its members' under the
same names after `seeds.`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from xray.config import Config, Workspace
from xray.data.catalog import Catalog
from xray.data.folds import Fold
from xray.data.store.pixel_store import PixelStore
from xray.evaluation.cross_validation.summary import SHOWN
from xray.evaluation.evaluate import Evaluated, evaluation_digest
from xray.evaluation.metrics.aggregate import mean_and_sd
from xray.files.artifact_folder import MANIFEST
from xray.runs.cross_validation_run import FoldRun, single_seed_config
from xray.runs.parent_run import ParentRun, log_children, note
from xray.runs.run_context import RunContext
from xray.runs.run_tags import run_facts
from xray.runs.training_run import Recorded, record
from xray.table import Table
from xray.tracking.run_artifacts import log_final_metrics
from xray.tracking.ui_views import NOTE_TAG
from xray.training.ensemble import ensemble, ensemble_digest
from xray.training.fit import Trained
from xray.training.training_digest import training_digest

KIND = "seeds"
SEEDS_TABLE = "seeds.json"


@dataclass(frozen=True, kw_only=True)
class RecordedEnsemble(Recorded):
    """A registered model, and the seeds that it was made of or is the first of.

    Attributes:
        parent: The MLflow run that the seeds' runs lie below; the model's own where it is their ensemble.
        seeds: Each seed's training and evaluation.
    """

    parent: str
    seeds: Sequence[FoldRun]

    def table(self) -> Table:
        """Write the registered model's figures beside the seeds' mean, standard deviation and values, in words."""
        each = [run.fold.figures() for run in self.seeds]
        found, own = mean_and_sd(each), self.evaluated.report()["metrics"]
        rows = [
            (
                name.replace("_", " ").replace(".", " "),
                f"{own[name]:.3f}",
                f"{found[name]:.3f}",
                f"{found[f'{name}_sd']:.3f}",
                " ".join(f"{figures[name]:.3f}" for figures in each),
            )
            for name in SHOWN
            if name in found and name in own
        ]
        return Table(("metric", "registered", "mean", "sd", "each seed"), rows)


def members_of(catalog: Catalog, store: PixelStore, config: Config) -> list[Fold]:
    """Say what each seed trains: the same scans with `training.seed`, the seed after it, and so on.

    Args:
        catalog: The scans, with labels and splits.
        store: Their pixels.
        config: The whole configuration. A member's is that of a plain run with its seed.
    """
    first = config.training.seed
    return [
        Fold(config.split.validation_fold, seed, single_seed_config(config, seed), catalog, store.folder)
        for seed in range(first, first + config.training.seeds)
    ]


@contextmanager
def opened(members: Sequence[Fold], config: Config, context: RunContext) -> Iterator[str | None]:
    """Open the parent run, and close it as failed or killed where the block ends so.

    Args:
        members: What `members_of` gave.
        config: The whole configuration that was asked for.
        context: Where the run is kept, and what it is part of.

    Yields:
        The run's id; None where the store is away, which stops nothing: the members are put below it later.

    Raises:
        StoreError: The folder could not be written.
    """
    trainings = [training_digest(member.catalog, member.config) for member in members]
    with _parent(trainings, members[0].catalog, config, context).opened() as parent:
        yield parent


def combine(runs: Sequence[FoldRun], config: Config, workspace: Workspace) -> tuple[Trained, bool]:
    """Take the network that is registered: the ensemble, or the first seed's, and never the one that is best on TEST.

    Args:
        runs: Every seed, in order.
        config: The whole configuration; `registry.ensemble` decides.
        workspace: Where trainings lie.

    Returns:
        The network, and whether it was there already.

    Raises:
        StoreError: The ensemble could not be written.
    """
    members = [run.fold.trained for run in runs]
    if not config.registry.ensemble:
        return members[0], True
    found = (workspace.trainings / ensemble_digest([member.digest for member in members]) / MANIFEST).is_file()
    return ensemble(members, config, workspace.trainings), found


def record_seeds(
    runs: Sequence[FoldRun],
    trained: Trained,
    evaluated: Evaluated,
    catalog: Catalog,
    config: Config,
    context: RunContext,
) -> RecordedEnsemble:
    """Complete the parent run with mean and spread, put every seed's run below it, and register one network. Once.

    Args:
        runs: Every seed, in order.
        trained: What `combine` gave.
        evaluated: Its evaluation.
        catalog: The scans.
        config: The whole configuration that was asked for.
        context: Where the run is kept, and what it is part of.

    Raises:
        RegistryError: The store cannot be reached.
    """
    together = config.registry.ensemble
    ensemble_run = _parent([run.fold.trained.digest for run in runs], catalog, config, context)
    with ensemble_run.above(run.run_id for run in runs) as (client, parent):
        found = mean_and_sd([run.fold.figures() for run in runs])
        log_final_metrics(client, parent, {f"seeds.{name}": value for name, value in found.items()})
    own = config if together else single_seed_config(config, config.training.seed)
    recorded = record(trained, evaluated, catalog, own, context)
    repeated = RecordedEnsemble(**vars(recorded), parent=parent, seeds=runs)
    with ensemble_run.completed():
        log_children(client, parent, SEEDS_TABLE, [_line(run) for run in runs])
        if not together:
            client.set_tag(parent, NOTE_TAG, note({"seeds": repeated.table()}))
    return repeated


def _parent(trainings: Sequence[str], catalog: Catalog, config: Config, context: RunContext) -> ParentRun:
    digest = ensemble_digest(trainings)
    facts = run_facts(catalog, config, digest, context, evaluation_digest(digest, catalog, config))
    facts = replace(facts, name=f"{config.recipe}-x{len(trainings)}-{digest[:8]}")
    return ParentRun(context.workspace.trainings / digest, context.workspace, facts, KIND)


def _line(run: FoldRun) -> Mapping[str, Any]:
    figures = run.fold.figures()
    return {
        "run_id": run.run_id,
        "seed": run.fold.seed,
        "training": run.fold.trained.digest,
        "best_epoch": figures["best_epoch"],
        **{name: figures.get(name) for name in SHOWN},
    }
