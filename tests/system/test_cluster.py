"""Scans normalized on a real Dask cluster of two processes: the same bytes, also where workers are killed."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tasks.cluster.dask_cluster import cluster_at, dask_workers
from tests.system.conftest import PROJECT, Command
from tests.system.started import Started, free_ports, settings_of, started
from tests.system.typed import Documented
from tests.system.waiting import until
from xray.config import Images
from xray.data.decoding import parallel_decode
from xray.data.store import fill_pixel_store
from xray.data.store.fill_pixel_store import PixelStore, fill
from xray.errors import DataError, XrayError

SMALL = Images(height=32, width=40)
DEADLY = b"this ends whoever decodes it: 7"
"""Its digest begins with `f`, so that others are finished before it."""
SCHEDULER = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard"]
WORKER = ["-m", "distributed.cli.dask_worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard"]

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def many_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several shards, and many calls to the cluster, where 200 scans would make one of each."""
    monkeypatch.setattr(fill_pixel_store, "SHARD_ROWS", 48)
    monkeypatch.setattr(parallel_decode, "MOST_AFAR", 4)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 200 scans and a page. Read only."""
    folder = tmp_path_factory.mktemp("scans")
    generator = np.random.default_rng(0)
    for number in range(200):
        Image.fromarray(generator.integers(0, 256, (36, 44), np.uint8)).save(folder / f"{number:03}.png")
    (folder / "page.jpeg").write_text("<html>")
    return folder


@pytest.fixture(scope="module")
def here(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What threads of this process write."""
    with pytest.MonkeyPatch.context() as smaller:
        smaller.setattr(fill_pixel_store, "SHARD_ROWS", 48)
        return contents(fill(scans, digests(scans), SMALL, tmp_path_factory.mktemp("here")).store)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Started, str]]:
    """A scheduler, and its address."""
    folder = tmp_path_factory.mktemp("scheduler")
    (port,) = free_ports(1)
    command = [*SCHEDULER, "--port", str(port)]
    with started(folder, "scheduler", command, settings_of(folder / "user")) as process:
        until(lambda: process.said("Scheduler at:"), "the scheduler listens")
        yield process, f"tcp://127.0.0.1:{port}"


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def contents(store: PixelStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.folder.iterdir()) if path.name != ".lock"}


def workers() -> list[psutil.Process]:
    """The processes that a cluster of this process's own has started."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_two_processes_write_what_threads_write(here: dict[str, bytes], scans: Path, tmp_path: Path) -> None:
    seen: set[int] = set()

    def look(done: int, total: int) -> None:
        seen.update(worker.pid for worker in workers())

    filled = fill(scans, digests(scans), SMALL, tmp_path, progress=look, workers=cluster_at("local"))
    assert contents(filled.store) == here
    assert (filled.decoded, len(here)) == (201, 6)
    assert len(seen) == min(2, os.cpu_count() or 1)
    assert workers() == []


def test_a_worker_that_is_killed_half_way_costs_no_scan(here: dict[str, bytes], scans: Path, tmp_path: Path) -> None:
    killed: list[psutil.Process] = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            assert 0 < done < total
            killed.append(workers()[0])
            killed[0].kill()

    filled = fill(scans, digests(scans), SMALL, tmp_path, progress=kill_one, workers=cluster_at("local"))
    assert len(killed) == 1
    assert contents(filled.store) == here


def test_nothing_to_decode_starts_no_cluster(scans: Path, tmp_path: Path) -> None:
    fill(scans, digests(scans), SMALL, tmp_path)
    assert fill(scans, digests(scans), SMALL, tmp_path, workers=cluster_at("tcp://127.0.0.1:1")).reused == 201


def test_a_file_that_changed_is_told_as_here(scans: Path, tmp_path: Path) -> None:
    of_path = digests(scans) | {"007.png": 64 * "0"}
    with pytest.raises(DataError, match=r"^scans must not change during preparation; .*007\.png$"):
        fill(scans, of_path, SMALL, tmp_path, workers=cluster_at("local"))


def test_a_scan_that_ends_each_worker_is_named_in_one_line_and_what_is_finished_is_kept(
    scans: Path, tmp_path: Path
) -> None:
    """The decoder dies of certain bytes; the processes, their deaths and the scheduler are real."""
    import dask
    import distributed  # noqa: F401 - brings the defaults of its settings

    (tmp_path / "scans").mkdir()
    for path in scans.glob("*.png"):
        (tmp_path / "scans" / path.name).hardlink_to(path)
    (tmp_path / "scans" / "deadly.png").write_bytes(DEADLY)
    preload = tmp_path / "deadly_decoder.py"
    preload.write_text(
        "import os, signal\n"
        "from xray.data.decoding import parallel_decode\n"
        "from xray.data.decoding.image_decoder import normalize as plain\n"
        "def normalize(data, images):\n"
        f"    return os.kill(os.getpid(), signal.SIGKILL) if data == {DEADLY!r} else plain(data, images)\n"
        "parallel_decode.normalize = normalize\n"
    )
    with (
        dask.config.set({"distributed.worker.preload": [str(preload)]}),
        pytest.raises(
            DataError,
            match=r"^a scan must not crash its decoding worker\. Received: deadly\.png: 4 workers crashed on it$",
        ),
    ):
        fill(tmp_path / "scans", digests(tmp_path / "scans"), SMALL, tmp_path / "store", workers=cluster_at("local"))
    (tmp_path / "scans" / "deadly.png").unlink()
    assert fill(tmp_path / "scans", digests(tmp_path / "scans"), SMALL, tmp_path / "store").reused > 0


def test_workers_that_come_later_and_go_are_no_matter(
    scheduler: tuple[Started, str], here: dict[str, bytes], scans: Path, tmp_path: Path
) -> None:
    """A cluster of one's own: the first worker has no nanny that starts it again, the second comes when it is dead."""
    _, address = scheduler
    command = [*WORKER, address, "--no-nanny"]
    settings = settings_of(tmp_path / "user")
    with started(tmp_path, "first", command, settings) as first:
        ended: list[subprocess.Popen[bytes]] = []

        def replace_first(done: int, total: int) -> None:
            if not ended:
                first.kill()
                second = [sys.executable, *command]
                ended.append(subprocess.Popen(second, cwd=tmp_path, env=settings, start_new_session=True))

        try:
            filled = fill(scans, digests(scans), SMALL, tmp_path, progress=replace_first, workers=cluster_at(address))
        finally:
            for process in ended:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert contents(filled.store) == here


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("labels.py", "# changed", "code [0-9a-f]{12}, numpy"),
        ("executors.py", "# older", "attribute 'version'"),
    ],
)
def test_a_worker_of_another_version_is_refused_in_one_line(
    file: str, text: str, said: str, scheduler: tuple[Started, str], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(PROJECT / "xray", tmp_path / "xray", ignore=shutil.ignore_patterns("__pycache__")))
    assert (copy / file).is_file(), "it has moved"
    (copy / file).write_text(text)
    settings = settings_of(tmp_path / "user", PYTHONPATH=str(tmp_path))
    with started(tmp_path, "worker", [*WORKER, scheduler[1], "--no-nanny"], settings) as worker:
        until(lambda: worker.said("Registered to:"), "the worker is there")
        with (
            pytest.raises(XrayError, match=f"^each Dask worker must have our versions: .* Received: .*{said}"),
            dask_workers(scheduler[1], most=1),
        ):
            pass


def test_a_scheduler_that_goes_away_is_one_line_and_what_is_finished_is_kept(
    scans: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    address, settings = f"tcp://127.0.0.1:{port}", settings_of(tmp_path / "user")
    command = [*SCHEDULER, "--port", str(port)]
    with started(tmp_path, "scheduler", command, settings) as process:
        until(lambda: process.said("Scheduler at:"), "the scheduler listens")
        with started(tmp_path, "worker", [*WORKER, address], settings):

            def end_scheduler(done: int, total: int) -> None:
                if done > 100:
                    process.kill()

            with pytest.raises(XrayError, match=f"must keep answering; .* Received: {address} stopped answering$"):
                fill(scans, digests(scans), SMALL, tmp_path, progress=end_scheduler, workers=cluster_at(address))
    resumed = fill(scans, digests(scans), SMALL, tmp_path)
    assert resumed.reused >= 48
    assert contents(resumed.store) == here


def test_the_command_prepares_the_same_here_and_on_a_cluster(
    alone: Command, documented: Documented, begin: Callable[[Path], None], prefect_url: str
) -> None:
    xray = alone.at(prefect_url)
    begin(alone.folder / "afar")
    assert xray("phantom", "phantoms", "--scans", "80", "--size", "64x64").code == 0
    (shown,) = documented
    afar = alone(*documented.words(shown, {"coronahack": "phantoms"}, "--recipe quick --home afar"))
    # Python's own tracker of resources ends by itself, an instant after the process that it served. In brackets stands
    # a process that has given its memory back already: it is ending.
    left = [process for process in afar.left if "resource_tracker" not in process and "[python]" not in process]
    assert (afar.code, afar.err, left) == (0, "", [])
    assert xray("prepare", "phantoms", "--recipe", "quick", "--home", "here").code == 0

    def stores(home: str) -> dict[str, bytes]:
        files = (xray.folder / home / "data" / "pixels").glob("*/*")
        return {path.name: path.read_bytes() for path in files if path.name != ".lock"}

    assert stores("afar") == stores("here") != {}
