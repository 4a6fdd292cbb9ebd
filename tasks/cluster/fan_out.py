"""Several runs of one task, independent of each other: one after another here, or side by side on a cluster."""

from collections.abc import Sequence
from typing import TypeVar

from tasks.cluster.dask_cluster import dask_runner
from tasks.prefect_task import Call
from tasks.progress import doing
from tasks.training_slot import training_turn

T = TypeVar("T")


def train_all(calls: Sequence[Call[T]], dask: str | None) -> list[T]:
    """Make calls that each train a network.

    Args:
        calls: What to run.
        dask: A Dask scheduler's address, or `local`; None runs one call after another here.

    Returns:
        What each gave, in order.

    Raises:
        Exception: What the first call that failed has raised.
    """
    if not calls:
        return []
    return _on_cluster(calls, dask) if dask else _in_turn(calls)


def _in_turn(calls: Sequence[Call[T]]) -> list[T]:
    """Run them in the calling thread, the only one that timeouts and cancellation reach.

    Each takes a training turn of its own: another flow's training need not wait for all of them.
    """
    values = []
    for place, call in enumerate(calls, start=1):
        with training_turn(), doing(f"{call.name} ({place} of {len(calls)})"):
            values.append(call.here())
    return values


def _on_cluster(calls: Sequence[Call[T]], address: str) -> list[T]:
    """Run them beside each other; where one fails, the others are first waited for.

    The cluster is one place to train, so all of it takes one training turn: no other flow trains meanwhile, and how
    many calls do is decided by the number of the cluster's workers.
    """
    with training_turn(), dask_runner(address, most=len(calls)) as runner:
        futures = [call.submitted(runner) for call in calls]
        for future in futures:
            future.wait()
        return [future.result() for future in futures]
