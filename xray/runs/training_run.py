"""Log a training and its evaluation to one MLflow run, and register its network."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from xray.config import Config, Registry, digest_of
from xray.data.audit import left_out
from xray.data.catalog import Catalog
from xray.data.store.fill_pixel_store import PixelStore
from xray.errors import RegistryUnavailable
from xray.evaluation.drift.reference import FILE as REFERENCE
from xray.evaluation.evaluate import Evaluated
from xray.evaluation.inspection.inspect import inspection_of
from xray.evaluation.reporting.run_report import RunReport
from xray.models.package import Settings
from xray.models.phantom_versions import phantom_tag, without_alias
from xray.models.register import Registered, Registration, register
from xray.runs.report_page import log_page
from xray.runs.run_context import RunContext
from xray.runs.run_tags import model_tags, run_facts
from xray.tracking.run_artifacts import Evidence, log_evidence
from xray.tracking.store import reached, store_of
from xray.tracking.test_set_use import code_version, count_evaluation, scans_digest
from xray.tracking.tracker import EPOCH_SECONDS, Tracker, open_run
from xray.tracking.ui_views import run_page
from xray.training.fit import Trained, train
from xray.training.history import History, OnEpoch, StoppedTraining
from xray.training.training_digest import training_digest


@dataclass(frozen=True)
class Recorded:
    """Where a run and its model are found.

    Attributes:
        run_id: The MLflow run.
        experiment_id: The experiment it lies in.
        registered: The version in the registry.
        evaluated: The evaluation it holds.
        page: The run's page in MLflow's UI; None where no server keeps the store.
        left_out: What was left out of the data set, in one line; empty where nothing was.
        limits: What the data set's split cannot promise, in one line; empty where there is nothing to say.
    """

    run_id: str
    experiment_id: str
    registered: Registered
    evaluated: Evaluated
    page: str | None
    left_out: str
    limits: str

    def markdown(self) -> str:
        """Say where to find the run, for Prefect's UI."""
        found = f"[{self.run_id}]({self.page})" if self.page else f"{self.run_id}, once `xray ui` has started it"
        return f"Model **{self.registered.name}**, version {self.registered.version}.\n\nRun {found}, in MLflow's UI."


def train_and_track(
    catalog: Catalog,
    store: PixelStore,
    config: Config,
    context: RunContext,
) -> Trained:
    """Train in the training's own folder, and send each epoch to its MLflow run as it ends.

    Args:
        catalog: The scans, with labels and splits.
        store: Their pixels.
        config: The whole configuration.
        context: Where the run is kept, and what it is part of.

    Raises:
        TrainingError: The training cannot start.
        StoreError: The training folder could not be written.
    """
    folder = context.workspace.trainings / training_digest(catalog, config)
    tracker = Tracker(store_of(context.workspace), folder, run_facts(catalog, config, folder.name, context))

    def on_epoch(history: History) -> None:
        if context.progress is not None:
            context.progress(len(history.epochs), config.training.epochs)

    return train_in_run(tracker, folder, catalog, store, config, [on_epoch])


def train_in_run(
    tracker: Tracker, folder: Path, catalog: Catalog, store: PixelStore, config: Config, on_epoch: Sequence[OnEpoch]
) -> Trained:
    """Train in a folder, and send each epoch to the folder's MLflow run before anybody else is told of it.

    Args:
        tracker: The folder's run; opened if something is left to train, and closed where the training does not end.
        folder: The training folder, named by `training_digest`.
        catalog: The scans, with labels and splits.
        store: Their pixels.
        config: The whole configuration.
        on_epoch: Called in turn after each epoch.

    Raises:
        TrainingError: The training cannot start.
        StoreError: The training folder could not be written.
        StoppedTraining: `on_epoch` ended it.
    """

    def send(history: History) -> None:
        tracker.log_epochs([asdict(epoch) for epoch in history.epochs], EPOCH_SECONDS)

    @contextmanager
    def tracked() -> Iterator[None]:
        tracker.open()
        try:
            with tracker.system_metrics():
                yield
        except StoppedTraining:
            tracker.finish()
            raise
        except BaseException as error:
            tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise

    return train(catalog, store, config, folder, [send, *on_epoch], tracked)


def record(trained: Trained, evaluated: Evaluated, catalog: Catalog, config: Config, context: RunContext) -> Recorded:
    """Complete the run of a training and its evaluation, and register the network, once.

    Another evaluation of the same training has another run, so that a version's figures are its own for ever.

    Args:
        trained: A finished training.
        evaluated: Its evaluation.
        catalog: The scans.
        config: The whole configuration.
        context: Where the run is kept, and what it is part of.

    Raises:
        RegistryError: The store cannot be reached.
    """
    facts = run_facts(catalog, config, trained.digest, context, evaluated.digest)
    tracker = open_run(context.workspace, trained.folder, facts)
    told = complete(tracker, trained, evaluated, catalog, config)
    client, run_id = tracker.require()
    with reached(tracker.store):
        registry, withheld = without_alias(client, _named(config), catalog, context.workspace)
    tags = {**model_tags(catalog, config, trained.digest), **phantom_tag(catalog)}
    settings = Settings.of(config.images, evaluated.reading())
    description = f"{told.headline()}\n\n{told.card()}"
    registered = register(tracker, trained.model, settings, Registration(registry, tags, description))
    registered = replace(registered, withheld=withheld or registered.withheld)
    log_page(tracker, told, registered.version)
    tracker.finish()
    experiment = client.get_run(run_id).info.experiment_id
    page = run_page(tracker.store.uri, experiment, run_id) if tracker.store.is_server else None
    gone, limits = left_out(catalog.rejects()["reason"]), "; ".join(catalog.findings().get("limits", ()))
    return Recorded(run_id, experiment, registered, evaluated, page, gone, limits)


def complete(tracker: Tracker, trained: Trained, evaluated: Evaluated, catalog: Catalog, config: Config) -> RunReport:
    """Put everything into a training's run but its page and the registered model.

    Args:
        tracker: The run.
        trained: A finished training.
        evaluated: Its evaluation.
        catalog: The scans.
        config: The whole configuration.

    Returns:
        What is told of it.

    Raises:
        RegistryError: The store cannot be reached.
    """
    epochs = [asdict(epoch) for epoch in trained.history().epochs]
    unsent = tracker.log_epochs(epochs)
    if unsent:
        said = f"{len(unsent)} of {len(epochs)} epochs are not sent"
        raise RegistryUnavailable(f"tracking store {tracker.store.shown} must answer. Received: {said}")
    code = code_version()
    scans = scans_digest(catalog.rows("test")["sha256"])
    count = count_evaluation(tracker, evaluated.digest, scans, code)
    told = RunReport(trained, evaluated, inspection_of(trained, evaluated), catalog, config, count, code)
    card = told.card()
    seen = told.inspected.folder.name if told.inspected else None
    name = digest_of([code, trained.digest, evaluated.digest, seen, card])
    log_evidence(tracker, name, lambda: _evidence(told, card))
    return told


def _named(config: Config) -> Registry:
    return config.registry.model_copy(update={"model_name": config.registered_name})


def _evidence(told: RunReport, card: str) -> Evidence:
    seen = told.inspected
    return Evidence(
        metrics=told.metrics(),
        plots=told.plots(),
        scores=told.evaluated.scores(),
        card=card,
        files=[
            told.catalog.folder / "audit.json",
            told.catalog.folder / "rejects.parquet",
            told.trained.folder / "history.json",
            told.evaluated.folder / "evaluation.json",
            told.evaluated.folder / REFERENCE,
            *([seen.folder / "inspection.json"] if seen else ()),
        ],
    )
