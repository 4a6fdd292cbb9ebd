"""How much faster do two workers of a Dask cluster normalize and score than one? Ours: two. Rival: one.

Each worker is a process with a core of its own, in place of a machine of its own. Both clusters are up before the clock
starts; a scoring loads its model within it. Run `python benchmarks/cluster.py`.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import score
import side_by_side
from side_by_side import Options, Row, alternate, answer, scans_of, timed

from xray.config import Images
from xray.data.file_digests import file_digests
from xray.data.store.fill_pixel_store import fill
from xray.executors import Cluster

WANTED = "1.6 x"


def main() -> None:
    """Measure and print."""
    os.environ.update(score.QUIET)
    side_by_side.run(measure, side_by_side.parser(__doc__).parse_args())


def measure(options: Options) -> list[Row]:
    """Time two workers against one on the same scans."""
    pixels, size = (32, (128, 96)) if options.size == "tiny" else (score.SIDE, (1800, 1400))
    folder = options.phantoms(options.pick(70, 600, 4000), size)
    paths = scans_of(folder)
    digests = file_digests(folder, paths, options.work / "digests.parquet")  # reads each file once, too
    _, model = score.models(options.work / "score", pixels)
    what = f"{len(paths)} phantoms of {size[0]:,} x {size[1]:,}"
    stores = (options.work / f"cluster-{number}" for number in itertools.count())

    def normalized(workers: Cluster) -> float:
        store = next(stores)
        seconds = timed(lambda: fill(folder, digests, Images(), store, workers=lambda _: nullcontext(workers)))
        shutil.rmtree(store)
        return seconds

    def scored(workers: Cluster) -> float:
        from xray.scoring.cluster_pool import scores_on_cluster

        files = [folder / path for path in paths]
        return timed(lambda: list(scores_on_cluster(model, files, lambda _: nullcontext(workers))))

    with ExitStack() as ends:
        two, one = (ends.enter_context(_workers(count, options.work)) for count in (2, 1))
        return [
            _row(f"normalize {what}", normalized, two, one, options),
            _row(f"score {what}", scored, two, one, options),
        ]


def _row(question: str, work: Callable[[Cluster], float], two: Cluster, one: Cluster, options: Options) -> Row:
    found = alternate({"ours": lambda: work(two), "rival": lambda: work(one)}, options.rounds)
    return answer(f"{question}, two workers", found["ours"], found["rival"], WANTED, f"load {os.getloadavg()[0]:.1f}")


@contextmanager
def _workers(count: int, work: Path) -> Iterator[Cluster]:
    """Have a cluster of so many workers."""
    from tasks.cluster.dask_cluster import LOCAL, dask_workers

    taken = work / f"cores-{count}"
    shutil.rmtree(taken, ignore_errors=True)
    taken.mkdir()
    with dask_workers(LOCAL, most=count) as workers:
        workers.everywhere(_take_a_core, taken)
        yield workers


def _take_a_core(taken: Path) -> None:
    """Stay on a core that no other worker has, with every thread and whatever is started."""
    for core in sorted(os.sched_getaffinity(0)):
        try:
            (taken / str(core)).touch(exist_ok=False)
        except FileExistsError:
            continue
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
        return


if __name__ == "__main__":
    main()
