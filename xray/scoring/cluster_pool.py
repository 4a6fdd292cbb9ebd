"""Many files scored by the workers of a cluster, each of which keeps one child, with its model, while a run lasts.

Starting a child takes seconds: TensorFlow and the model are loaded. It ends with the run, with its worker, and by
itself when nothing was asked of it for a while, for a run that was killed tells nobody.
"""

import threading
import uuid
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pandas as pd

from xray.data.decoding.parallel_decode import cores
from xray.errors import RegistryError
from xray.executors import OpenCluster, OrderedMap, PendingResult
from xray.scoring.crash_guard import RestartingModelProcess
from xray.scoring.local_pool import BATCH
from xray.tracking.stale_runs import scratch_folder

FILES_A_CALL = 2 * BATCH
"""A call costs milliseconds, and a child between two calls has nothing to do."""

IDLE_SECONDS = 60.0
"""A child that was not asked for so long ends; asked later, it is started again."""


def scores_on_cluster(model: Path, files: Sequence[Path], cluster: OpenCluster) -> Generator[pd.DataFrame, None, None]:
    """Score image files as `scoring.scores` does, on a cluster.

    Args:
        model: The folder of an MLflow pyfunc, which the workers find under the same path.
        files: Image files, which they find likewise.
        cluster: Who scores.

    Yields:
        Rows of up to `FILES_A_CALL` files, in order.

    Raises:
        RegistryError: A child could not load the model or answers on no file, or a call ended every worker it went to.
    """
    if not files:
        return
    calls = [[path.absolute() for path in files[at : at + FILES_A_CALL]] for at in range(0, len(files), FILES_A_CALL)]
    run = uuid.uuid4().hex
    with cluster(len(calls)) as workers:
        work = partial(score_kept, run, model.absolute(), workers.beside())
        try:
            with closing(OrderedMap(workers, work, calls)) as promises:
                for call, promise in promises:
                    yield _answer(promises, call, promise)
        finally:
            workers.everywhere(end_kept, run)


def _answer(
    promises: OrderedMap[list[Path], pd.DataFrame], files: list[Path], promise: PendingResult[pd.DataFrame]
) -> pd.DataFrame:
    try:
        return promise.result()
    except BrokenExecutor:
        pass
    try:
        return promises.isolated(files)
    except BrokenExecutor as error:
        raise RegistryError(
            f"scans must not crash the workers that score them. Received: {files[0]} to {files[-1]}: {error}"
        ) from error


def score_kept(run: str, model: Path, beside: int, files: Sequence[Path]) -> pd.DataFrame:
    """Score files in the child that this process keeps for a run: a worker's part of `scores_on_cluster`.

    Args:
        run: Names the run.
        model: The folder of an MLflow pyfunc.
        beside: Workers that share this machine's cores.
        files: Image files.
    """
    with _lock:
        kept = _kept.setdefault(run, _Kept(model, max(1, cores() // beside)))
    return kept.score(files)


def end_kept(run: str) -> None:
    """End the child that this process keeps for a run, if there is one, whatever it does."""
    with _lock:
        kept = _kept.pop(run, None)
    if kept is not None:
        kept.end(busy=True)


class _Kept:
    """A child that is started when it is asked, where none is there."""

    def __init__(self, model: Path, threads: int) -> None:
        self._model, self._threads = model, threads
        self._asked = threading.Lock()
        self._child: RestartingModelProcess | None = None
        self._ends = ExitStack()
        self._idle = threading.Timer(IDLE_SECONDS, self.end)

    def score(self, files: Sequence[Path]) -> pd.DataFrame:
        """Score files by the batch, as `scoring.scores` does, so that a score does not depend on who gives it."""
        with self._asked:
            self._idle.cancel()
            child = self._child or self._started()
            try:
                batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
                for batch in batches:
                    child.ask(batch)
                rows = pd.concat([child.answer() for _ in batches], ignore_index=True)
            except RegistryError:
                self._close()
                raise
            self._idle = threading.Timer(IDLE_SECONDS, self.end)
            self._idle.daemon = True
            self._idle.start()
            return rows

    def end(self, busy: bool = False) -> None:
        """End the child; one that is asked something just now only where `busy` says so."""
        if self._asked.acquire(blocking=False):
            self._idle.cancel()
            self._close()
            self._asked.release()
        elif busy and self._child is not None:
            self._child.kill()  # whoever waits for its answer closes it

    def _started(self) -> RestartingModelProcess:
        scratch = self._ends.enter_context(scratch_folder("xray-scoring"))
        self._child = RestartingModelProcess(self._model, self._threads, scratch)
        self._ends.callback(self._child.close)
        return self._child

    def _close(self) -> None:
        self._child = None
        self._ends.close()


_kept: dict[str, _Kept] = {}
_lock = threading.Lock()
