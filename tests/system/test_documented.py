"""What the pages below docs/ show, typed as it stands there; what README.md shows is tests/system/test_walk.py's.

One home for all: the first test draws its phantoms and trains its two models.
"""

import re
import shutil
from pathlib import Path

import httpx
import pytest

from tests.system.conftest import PROJECT
from tests.system.started import answers, free_ports
from tests.system.typed import Documented, Shell, Typed, cheap
from tests.system.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Shell:
    """A shell in the home, which has been told of a Prefect server; README.md's commands do without."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "home").mkdir()
    return Shell(folder / "home", folder / "user", PREFECT_API_URL=prefect_url)


@pytest.fixture(scope="module")
def scans(shell: Shell) -> dict[str, str]:
    """What stands in the place of the page's scans: few phantoms, and the recipe that trains in seconds."""
    shell("xray phantom few --scans 120 --size 64x64")
    return {"coronahack": "few"}


def run_ids(ended: Typed) -> list[str]:
    return re.findall(r"^run +([0-9a-f]{32})", ended.out, re.MULTILINE)


def test_two_runs_are_compared_as_the_page_says(shell: Shell, documented: Documented) -> None:
    phantom, short, long, runs, compare = documented
    documented.run(shell, phantom)
    both = [documented.run(shell, each, more="--set evaluation.bootstrap_draws=100") for each in (short, long)]
    assert all("not challenger: its recipe says" in ended.out and "xray promote " in ended.out for ended in both)
    ids = [run_id for ended in both for run_id in run_ids(ended)]
    listed = documented.run(shell, runs).out
    names = [f"quick-{digest}" for digest in re.findall(r"\bquick-(\w{8})\b", listed)][::-1]  # the newest is first
    assert len(names) == len(ids) == 2
    compared = documented.run(shell, compare, {"quick-26dbe597": names[0], "cfad3e85": ids[1][:8]})
    assert "60 TEST scans" in compared.out
    assert all(name in compared.out for name in names)
    assert re.search(r"training\.epochs\W+3\W+12", compared.out)


def test_folds_end_with_their_tables(shell: Shell, documented: Documented, scans: dict[str, str]) -> None:
    for shown in documented:
        quick = "" if "--recipe" in shown.text else "--recipe quick "
        ended = documented.run(shell, shown, scans, quick + cheap(shown.text, split__folds=2))
        assert "out-of-fold" in ended.out
        assert Path(re.findall(r"^scores +(.+)$", ended.out, re.MULTILINE)[0]).is_file()


def test_trials_end_with_their_table(shell: Shell, documented: Documented, scans: dict[str, str]) -> None:
    article, shorter, spaced, space = documented
    documented.write(shell.folder / "space.toml", space)
    for shown, swap, more in (
        (article, {"--trials 30": "--trials 1"}, cheap(article.text)),
        (shorter, {"--trials 20": "--trials 1"}, cheap(shorter.text)),
        (spaced, {}, "--set training.epochs=1 --trials 1"),
    ):
        assert "1 complete" in documented.run(shell, shown, scans | swap, more).out


def test_a_cluster_of_ones_own_normalizes_and_scores(
    shell: Shell, documented: Documented, scans: dict[str, str]
) -> None:
    scheduler, worker, prepare, score = documented
    shutil.copytree(shell.folder / "few" / "test", shell.folder / "data" / "inbox")
    (port,) = free_ports(1)
    swap = {"8786": str(port)}
    with (
        documented.start(shell, "scheduler", scheduler, swap, "--no-dashboard") as first,
        documented.start(shell, "worker", worker, swap, "--no-dashboard") as second,
    ):
        until(lambda: first.said("Scheduler at:") and second.said("Registered to:"), "the cluster is up")
        prepared = documented.run(shell, prepare, swap | scans, "--set images.height=40")
        assert "120 decoded" in prepared.out
        scored = documented.run(shell, score, swap)
    assert re.search(rf"scored\W+{len(list((shell.folder / 'data' / 'inbox').iterdir()))}\b", scored.out)


def test_each_server_starts_alone(shell: Shell, documented: Documented) -> None:
    private, places, store, password, prefects, mlflows, prefect, mlflow, pool, limit, deploy, worker = documented
    shutil.copy(PROJECT / "prefect.yaml", shell.folder)
    ports = free_ports(2)
    swap = {"4200": str(ports[0])}, {"5000": str(ports[1])}
    beside = shell.new()
    documented.run(beside, private)
    documented.export(beside, places, swap[0])
    documented.export(beside, store, swap[1])
    documented.run(beside, password)
    documented.export(beside, prefects)
    documented.export(beside, mlflows)
    with (
        documented.start(beside, "prefect", prefect, swap[0]) as first,
        documented.start(beside, "mlflow", mlflow, swap[1]) as second,
    ):
        until(lambda: first.alive() and answers(f"http://127.0.0.1:{ports[0]}/api/health"), "Prefect's server")
        until(lambda: second.alive() and answers(f"http://127.0.0.1:{ports[1]}/health"), "MLflow's server")
        assert httpx.post(f"http://127.0.0.1:{ports[0]}/api/flows/filter", json={}).status_code == 401
        assert httpx.get(f"http://127.0.0.1:{ports[1]}").status_code == 401
        for shown in (pool, limit, deploy):
            documented.run(beside, shown)
        assert "promote/on-demand" in beside("prefect deployment ls").out
        with documented.start(beside, "worker", worker) as third:
            until(lambda: third.said("started!"), "the worker")


def test_a_benchmark_says_what_it_takes(shell: Shell, documented: Documented) -> None:
    (shown,) = documented
    ended = documented.run(shell, shown, {".venv/bin/python": "python", "benchmarks/": f"{PROJECT}/benchmarks/"})
    assert "--size" in ended.out
