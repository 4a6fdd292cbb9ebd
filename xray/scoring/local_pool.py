"""A model in processes of its own: many files scored on all cores, by the code that the model was kept with."""

import re
import shutil
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import mlflow.artifacts
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.models_artifact_repo import REGISTERED_MODEL_META_FILE_NAME
from mlflow.utils.yaml_utils import write_yaml

from xray.config import Workspace
from xray.data.decoding.parallel_decode import cores
from xray.models.model_files import MODEL_FILE, refuse, require_registered
from xray.models.pyfunc import COLUMNS
from xray.progress import Progress
from xray.scoring.crash_guard import RestartingModelProcess
from xray.tracking.stale_runs import scratch_folder
from xray.tracking.store import reached, store_of

BATCH = 32
"""Scans that a child is handed at a time."""

MOST_CHILDREN = 4
SCANS_A_CHILD = 2048
"""Fewest scans that are worth another child: TensorFlow takes seconds of a core to start, and one child already spreads
each step over the cores. docs/score-new-scans.md has the measurement."""


@contextmanager
def fetched(workspace: Workspace, uri: str, folder: Path | None = None) -> Iterator[Path]:
    """Have a model's folder for as long as the block lasts.

    Args:
        workspace: Where MLflow's store lies.
        uri: A registered or logged model's address, which is downloaded, or a folder, which is taken as it is.
        folder: Downloaded into, after what a killed process left there was removed; else a temporary one on this disk.

    Raises:
        RegistryError: There is no such model, its files are gone or differ, or the store cannot be reached.
    """
    if Path(uri).is_dir():
        yield Path(uri)
        return
    store = store_of(workspace)
    with _emptied(folder) if folder else scratch_folder("xray-model") as scratch:
        with store.current(), reached(store):
            try:
                model = _downloaded(uri, scratch)
            except (MlflowException, OSError) as error:
                refuse(workspace, uri, error)
            if not (model / MODEL_FILE).is_file():  # MLflow gives an empty folder for files that are gone
                refuse(workspace, uri, FileNotFoundError(f"no {MODEL_FILE} in it"))
            require_registered(workspace, uri, model)
        yield model


def _downloaded(uri: str, folder: Path) -> Path:
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    except PermissionError:
        # A file that may not be written is copied as one. MLflow writes the version's name into its copy, last of all.
        named = re.fullmatch(r"models:/([^/@]+)/(\d+)", uri)
        about = folder / REGISTERED_MODEL_META_FILE_NAME
        if named is None or not about.is_file():
            raise
        about.unlink()
        values = {"model_name": named[1], "model_version": named[2]}
        write_yaml(str(folder), about.name, values, ensure_yaml_extension=False)
        return folder


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def score_isolated(model: Path, files: Sequence[Path], progress: Progress | None = None) -> pd.DataFrame:
    """Score image files with a model in processes of its own.

    Args:
        model: The folder of an MLflow pyfunc, as `fetched` gives it.
        files: Image files.
        progress: Called with (files done, of how many).

    Returns:
        A row a file, in order: probabilities, `pyfunc.COLUMNS` and `sha256`, the digest of the bytes that were scored.
        Of a file that cannot be read, or is no scan, probabilities are null and `error` says why.

    Raises:
        RegistryError: A child could not load the model, or answers on no file.
    """
    parts = [pd.DataFrame(columns=[*COLUMNS, "sha256"])] if not files else []
    done = 0
    with closing(scores(model, files)) as batches:
        for part in batches:
            parts.append(part)
            done += len(part)
            if progress is not None:
                progress(done, len(files))
    return pd.concat(parts, ignore_index=True)


def scores(model: Path, files: Sequence[Path], children: int | None = None) -> Generator[pd.DataFrame, None, None]:
    """Score image files as `score_isolated` does, a batch at a time, so that memory stays flat.

    Args:
        model: The folder of an MLflow pyfunc.
        files: Image files.
        children: Processes; None takes one for `SCANS_A_CHILD` scans, as far as there are cores.

    Yields:
        Rows of up to `BATCH` files, in order.

    Raises:
        RegistryError: A child could not load the model, or answers on no file.
    """
    batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    if not batches:
        return
    wanted = children or min(cores(), MOST_CHILDREN, -(-len(files) // SCANS_A_CHILD))
    with ExitStack() as ends:
        scratch = ends.enter_context(scratch_folder("xray-scoring"))
        pool: list[RestartingModelProcess] = []
        for _ in range(wanted):
            pool.append(RestartingModelProcess(model, max(1, cores() // wanted), scratch))
            ends.callback(pool[-1].close)  # at once, for the next one may not start
        waiting: deque[RestartingModelProcess] = deque()
        for number, batch in enumerate(batches):
            child = pool[number % wanted]
            child.ask(batch)
            waiting.append(child)
            # Two batches a child, so that none waits; their answers fit a pipe's buffer, so that none blocks.
            if len(waiting) >= 2 * wanted:
                yield waiting.popleft().answer()
        while waiting:
            yield waiting.popleft().answer()
