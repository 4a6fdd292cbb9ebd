"""Tasks of a study: open it, run each trial, sum up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.tasks import Task
from pydantic import SecretStr

from tasks.artifacts import show_table
from tasks.cluster import dask_runner
from tasks.data import audit_and_split, normalize
from tasks.libraries import load
from tasks.policy import done, flow_run_id, flow_run_page, outcome, step
from tasks.progress import doing, progress_of
from tasks.training_slot import training_turn
from xray.config import Request
from xray.tuning.search_space import Search

if TYPE_CHECKING:
    from xray.data.prepare import Cleaned
    from xray.tuning.study import Material, Study
    from xray.tuning.study_run import Searched
    from xray.tuning.trial import Tried


def prepare_materials(
    cleaned: Cleaned, request: Request, search: Search, dask: str | None = None
) -> dict[str, Material]:
    """Normalize, audit and split once for each way of normalizing that is searched; one, where none is."""
    materials = {}
    for config in search.image_configs(request.config):
        each = request.model_copy(update={"config": config})
        store = normalize(cleaned, each, dask)
        catalog = audit_and_split(cleaned, store, each)
        digest = load("xray.data.decoding.normalizer").normalizer_digest(config.images)
        materials[digest] = load("xray.tuning.study").Material(outcome(catalog), outcome(store).folder)
    return materials


@step(name="open study")
def open_study(materials: dict[str, Material], request: Request, search: Search, storage: SecretStr | None) -> Study:
    """Make the study or find it."""
    with doing("opening the study"):
        study = load("xray.tuning.study").open_study(materials, request.config, search, request.places, storage)
    left = trials_left(study)
    said = f"study {study.name}: {search.trials - len(left)} of {search.trials} trials are there"
    return done(study, not left, said)


def trials_left(study: Study) -> list[int]:
    """List the slots whose trials are still to be run; it may change until the study is held."""
    slots: list[int] = load("xray.tuning.study").slots_left(study)
    return slots


@contextmanager
def study_run(study: Study, request: Request) -> Iterator[str | None]:
    """Hold the study, and keep the MLflow run open that the trials' runs are children of."""
    with load("xray.tuning.study_run").opened(study, request.places, flow_run_id()) as parent:
        yield parent


@step(name="trial")
def run_trial(study: Study, slot: int, request: Request, parent: str | None, beside_others: bool) -> Tried:
    """Train one trial, from the last finished epoch if its process died, to its end or until it is pruned."""
    report = progress_of("epochs")
    attempt = load("xray.tuning.trial").attempt
    tried: Tried = attempt(study, slot, request.places, parent, flow_run_id(), report, beside_others)
    report(1, 1)  # stopped early, pruned or reused, it is at its end
    value = "no value" if tried.value is None else f"{study.search.objective} {tried.value:.4f}"
    return done(tried, False, f"trial {tried.number}: {tried.state.lower()} after {tried.epochs} epochs, {value}")


def try_in_turn(study: Study, slots: list[int], request: Request, parent: str | None) -> list[Tried]:
    """Run one trial after another in the calling thread, the only one that timeouts and cancellation reach.

    Each trial takes a training turn of its own: another flow's training need not wait for all of them.
    """
    tried = []
    for slot in slots:
        with training_turn(), doing(_name(study, slot)):
            tried.append(outcome(_named(study, slot)(study, slot, request, parent, False)))
    return tried


def try_on_cluster(study: Study, slots: list[int], request: Request, parent: str | None, address: str) -> list[Tried]:
    """Run the trials beside each other on a Dask cluster; where one fails, the others are first waited for.

    The cluster is one place to train, so all of it takes one training turn.
    """
    if not slots:
        return []
    with training_turn(), dask_runner(address, most=len(slots)) as runner:
        shared = {"study": study, "request": request, "parent": parent, "beside_others": True}
        futures = [runner.submit(_named(study, slot), {"slot": slot, **shared}) for slot in slots]
        for future in futures:
            future.wait()
        return [outcome(future.result()) for future in futures]


@step(name="sum up")
def sum_up(study: Study, tried: list[Tried], request: Request) -> Searched:
    """Complete the parent run with the best trial and a table of all."""
    with doing("summing up"):
        searched = load("xray.tuning.study_run").record_study(study, len(tried), request.places, flow_run_id())
    show_table("trials", f"The best trials of study {study.name}, on VALIDATION.", *searched.table())
    load("xray.tracking.flow_run_link").link(request.places, searched.run_id, flow_run_page())
    return done(searched, not tried, f"MLflow run {searched.run_id}")


def _named(study: Study, slot: int) -> Task[..., Tried]:
    return run_trial.with_options(task_run_name=_name(study, slot))


def _name(study: Study, slot: int) -> str:
    return f"trial {slot + 1} of {study.search.trials}"
