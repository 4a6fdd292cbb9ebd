"""Tasks of a study: open it, run each trial, sum up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from tasks.artifacts import show_table
from tasks.cluster.fan_out import train_all
from tasks.data import audit_and_split, normalize
from tasks.mlflow_run_context import context
from tasks.prefect_task import Outcome, flow_run_page, step
from tasks.progress import doing, progress_of
from xray.config import Request
from xray.tuning.search_space import Search

if TYPE_CHECKING:
    from xray.data.prepare import Cleaned
    from xray.tuning.study import Material, Study
    from xray.tuning.study_run import StudyResult
    from xray.tuning.trial import TrialResult


def prepare_materials(
    cleaned: Cleaned, request: Request, search: Search, dask: str | None = None
) -> dict[str, Material]:
    """Normalize, audit and split once for each way of normalizing that is searched; one, where none is."""
    from xray.data.decoding.image_decoder import normalizer_digest
    from xray.tuning.study import Material

    materials = {}
    for config in search.image_configs(request.config):
        each = request.model_copy(update={"config": config})
        store = normalize(cleaned, each, dask)
        catalog = audit_and_split(cleaned, store, each)
        materials[normalizer_digest(config.images)] = Material(catalog, store.folder)
    return materials


@step(name="open study")
def open_study(
    materials: dict[str, Material], request: Request, search: Search, storage: SecretStr | None
) -> Outcome[Study]:
    """Make the study or find it."""
    from xray.tuning import study as studies

    with doing("opening the study"):
        study = studies.open_study(materials, request.config, search, request.workspace, storage)
    left = trials_left(study)
    said = f"study {study.name}: {search.trials - len(left)} of {search.trials} trials are there"
    return Outcome(study, said, reused=not left)


def trials_left(study: Study) -> list[int]:
    """List the slots whose trials are still to be run; it may change until the study is held."""
    from xray.tuning.study import slots_left

    return slots_left(study)


@contextmanager
def study_run(study: Study, request: Request) -> Iterator[str | None]:
    """Hold the study, and keep the MLflow run open that the trials' runs are children of."""
    from xray.tuning.study_run import opened

    with opened(study, context(request)) as parent:
        yield parent


@step(name="trial")
def run_trial(
    study: Study, slot: int, request: Request, parent: str | None, beside_others: bool
) -> Outcome[TrialResult]:
    """Train one trial, from the last finished epoch if its process died, to its end or until it is pruned."""
    from xray.tuning.trial import run_trial

    report = progress_of("epochs")
    tried = run_trial(study, slot, context(request, parent, report), beside_others)
    report(1, 1)  # stopped early, pruned or reused, it is at its end
    value = "no value" if tried.value is None else f"{study.search.objective} {tried.value:.4f}"
    return Outcome(tried, f"trial {tried.number}: {tried.state.lower()} after {tried.epochs} epochs, {value}")


def try_all(
    study: Study, slots: Sequence[int], request: Request, parent: str | None, dask: str | None = None
) -> list[TrialResult]:
    """Run the trials that are left, one after another here, or beside each other on a Dask cluster."""
    beside = bool(dask)
    calls = [run_trial.call(_name(study, slot), study, slot, request, parent, beside_others=beside) for slot in slots]
    return train_all(calls, dask)


@step(name="summarize")
def sum_up(study: Study, tried: list[TrialResult], request: Request) -> Outcome[StudyResult]:
    """Complete the parent run with the best trial and a table of all."""
    from xray.tracking import flow_run_link
    from xray.tuning import study_run

    with doing("summarizing"):
        searched = study_run.record_study(study, len(tried), context(request))
    show_table("trials", f"The best trials of study {study.name}, on VALIDATION.", *searched.table())
    flow_run_link.link(request.workspace, searched.run_id, flow_run_page())
    return Outcome(searched, f"MLflow run {searched.run_id}", reused=not tried)


def _name(study: Study, slot: int) -> str:
    return f"trial {slot + 1} of {study.search.trials}"
