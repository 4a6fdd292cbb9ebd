"""A registered model's answer on single files, with the map of its evidence, both by the code that it was kept with."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xray.config import Workspace
from xray.data.decoding.parallel_decode import cores
from xray.errors import ImageError
from xray.scoring.crash_guard import BATCH_SECONDS
from xray.scoring.local_pool import BATCH, fetched
from xray.scoring.model_process import ModelProcess
from xray.tracking.stale_runs import scratch_folder


@dataclass(frozen=True)
class Explained:
    """A scan, what a model answers on it, and where it finds evidence for the finding.

    Attributes:
        pixels: uint8 (height, width), 0 to 255, the scan as the network sees it.
        heat: float32 (height, width), 0 to 1, as the model's own code gives it.
        answer: its probabilities and `pyfunc.COLUMNS` by name, the model's own answer.
    """

    pixels: NDArray[np.uint8]
    heat: NDArray[np.float32]
    answer: Mapping[str, Any]


def explain_files(workspace: Workspace, uri: str, files: Mapping[str, bytes]) -> dict[str, Explained]:
    """Let a model answer on image files, and map the evidence in each, in a process that has the model's code only.

    Args:
        workspace: Where MLflow's store lies.
        uri: The model's address, or a folder that holds it.
        files: The bytes of image files, by name.

    Returns:
        By name, in the same order.

    Raises:
        ImageError: A file is no scan; it is named.
        RegistryError: There is no such model, the store cannot be reached, or the model's process could not load it,
            could map nothing or died.
    """
    scans = list(files.items())
    batches = [dict(scans[start : start + BATCH]) for start in range(0, len(scans), BATCH)]
    with (
        fetched(workspace, uri) as model,
        scratch_folder("xray-explaining") as scratch,
        closing(ModelProcess(model, cores(), scratch)) as child,
    ):
        return {name: each for batch in batches for name, each in _explained(child, batch, scratch)}


def _explained(child: ModelProcess, files: Mapping[str, bytes], scratch: Path) -> Iterator[tuple[str, Explained]]:
    paths = [scratch / f"{number}.scan" for number in range(len(files))]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)
    maps = scratch / "maps.npz"
    child.ask(paths, maps)
    rows = child.answer(BATCH_SECONDS).drop(columns="sha256").to_dict("records")
    for name, row in zip(files, rows, strict=True):
        if row["error"] is not None:
            reason, _, detail = row["error"].partition(": ")
            raise ImageError(reason, f"{name}: {detail}")
    with np.load(maps) as found:
        pixels, heat = found["pixels"], found["maps"]
    yield from ((name, Explained(*each)) for name, *each in zip(files, pixels, heat, rows, strict=True))
