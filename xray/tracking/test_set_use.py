"""Test-set evaluations of a set of scans, counted in MLflow.

Whoever looks at the official test set often enough finds a model that seems good on it. So each evaluation of a network
on these scans counts, a fold's and a seed's too, and each judgement of a challenger. An evaluation that is found again
and not made anew counts once. A run that was deleted has looked all the same; one that `mlflow gc` has removed from the
store for good is no longer known.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag, ViewType

from xray.config import digest_of
from xray.evaluation.reporting.run_report import COUNT_METRIC, EvaluationCount
from xray.tracking.run_artifacts import log_metrics
from xray.tracking.run_identity import LOOK, git_commit
from xray.tracking.store import reached
from xray.tracking.tracker import Tracker

CODE_TAG = "git_commit"
SCANS_TAG = "scans"
"""A decision's record names by it the scans that judged."""

MARK = "xray.looked_at."
"""With the digest of the scans it is a tag of each run that has looked at them; MLflow finds no beginning of a tag."""

UNKNOWN = "unknown"
PAGE = 1000


@dataclass(frozen=True, order=True)
class _Use:
    """One evaluation; sorted by time, then by name."""

    at_ms: int
    name: str
    code: str


def scans_digest(sha256: Iterable[str]) -> str:
    """Digest a set of scans by what their files hold.

    Args:
        sha256: The digest of each scan's file; copies of a file stand there as often as they are.
    """
    return digest_of(sorted(sha256))


def code_version() -> str:
    """Name the commit of this code, or `UNKNOWN`."""
    return git_commit() or UNKNOWN


def count_evaluations(client: MlflowClient, scans: str) -> EvaluationCount:
    """Count the evaluations of some scans in every experiment of the store.

    Args:
        client: A connected client.
        scans: What `scans_digest` made of them.

    Raises:
        MlflowException: The store cannot be reached.
    """
    return _counted(_found(client, scans))


def count_evaluation(tracker: Tracker, evaluation: str, scans: str, code: str) -> EvaluationCount:
    """Count an evaluation on some scans, once, and log its number to its run as the metric `looks`.

    Args:
        tracker: The run of what was evaluated.
        evaluation: The evaluation's digest.
        scans: What `scans_digest` made of the scans.
        code: The code's version, as `code_version` names it.

    Returns:
        The looks up to this one. Counted again, an evaluation keeps its number.

    Raises:
        RegistryError: The store cannot be reached.
    """
    client, run_id = tracker.require()
    tag = f"{LOOK}{scans}.{evaluation}"
    with reached(tracker.store):
        if tag not in client.get_run(run_id).data.tags:
            fact = json.dumps({"at_ms": int(time.time() * 1000), "code": code})
            # one batch is one transaction: a look that is counted can be found
            client.log_batch(run_id, tags=[RunTag(MARK + scans, "yes"), RunTag(tag, fact)], synchronous=True)
        found = _found(client, scans)
        place = [look.name for look in found].index(evaluation)
        counted = _counted(found[: place + 1])
        log_metrics(client, run_id, {COUNT_METRIC: counted.total})
    return counted


def _counted(found: Sequence[_Use]) -> EvaluationCount:
    return EvaluationCount(len(found), dict(Counter(look.code for look in found)))


def _found(client: MlflowClient, scans: str) -> list[_Use]:
    """List every evaluation once, the earliest first: it may be in runs of several experiments."""
    found: dict[str, _Use] = {}
    for look in (*_evaluations(client, scans), *_judgements(client, scans)):
        found[look.name] = min(look, found.get(look.name, look))
    return sorted(found.values())


def _evaluations(client: MlflowClient, scans: str) -> Iterator[_Use]:
    beginning = f"{LOOK}{scans}."
    for run in _runs(client, f"tags.`{MARK}{scans}` = 'yes'"):
        for name, value in run.data.tags.items():
            if name.startswith(beginning):
                fact = json.loads(value)
                yield _Use(int(fact["at_ms"]), name.removeprefix(beginning), str(fact["code"]))


def _judgements(client: MlflowClient, scans: str) -> Iterator[_Use]:
    for run in _runs(client, f"tags.`{SCANS_TAG}` = '{scans}'"):
        yield _Use(int(run.info.start_time), str(run.info.run_id), run.data.tags.get(CODE_TAG, UNKNOWN))


def _runs(client: MlflowClient, words: str) -> Iterator[Run]:
    """Find runs in all experiments, deleted ones too."""
    every = ViewType.ALL
    experiments = _pages(lambda token: client.search_experiments(every, max_results=PAGE, page_token=token))
    ids = [experiment.experiment_id for experiment in experiments]
    yield from _pages(lambda token: client.search_runs(ids, words, every, PAGE, page_token=token))


def _pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return
