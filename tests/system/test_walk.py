"""The life of a home, by the commands that the pages show and nothing else, in the order in which a person meets them.

Each test goes on from the one before it, so the first that fails ends the walk. What stands on a page is typed as it
stands there, with options behind it that make a training short.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import PROJECT
from tests.system.started import answers, free_ports
from tests.system.typed import Documented, Shell, Typed, cheap
from tests.system.waiting import until

SCANS = 200
LAX = " ".join(
    f"--set promotion.{rule}"
    for rule in (
        "min_sensitivity=0", "min_specificity=0", "max_calibration_error=1",
        "margin_auc=1", "margin_sensitivity=1", "margin_specificity=1",
    )
)  # fmt: skip
"""A policy that a network passes which has seen each phantom once."""

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]
broken: list[str] = []


@pytest.fixture(autouse=True)
def in_order(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no step follow one that failed."""
    if broken:
        pytest.fail(f"the walk ended at {broken[0]}", pytrace=False)
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        broken.append(request.node.name)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in the home."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "home").mkdir()
    return Shell(folder / "home", folder / "user")


@pytest.fixture(scope="module")
def clone(shell: Shell) -> Shell:
    """A shell in the project's own folder, whose commands keep what they make in the home."""
    beside = Shell(PROJECT, Path(shell.settings["HOME"]))
    beside.settings["XRAY_HOME"] = str(shell.folder)
    if Path(sys.executable).parent != PROJECT / ".venv" / "bin":  # tested with another environment: set up none
        beside.settings["MAKEFLAGS"] = f"BIN={Path(sys.executable).parent} READY=Makefile"
    return beside


@pytest.fixture(scope="module")
def first() -> dict[str, Typed]:
    """How each command ended that the second pass gives again."""
    return {}


def below(ended: Typed, word: str) -> str:
    """Give what a command printed behind a word at the beginning of a line."""
    (found,) = re.findall(rf"^{word} +(.+)$", ended.out, re.MULTILINE)
    return str(found)


def figures(ended: Typed) -> list[str]:
    """Give the tables that a command printed: what stands between its log lines and what goes on from it."""
    tables = re.split(r"^(?:model|trials|run) +", ended.out, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
    return [line for line in tables if not re.match(r"\d\d:\d\d:\d\d  ", line)]


def test_the_demo_needs_one_command(clone: Shell, documented: Documented) -> None:
    ended = documented.run(clone, documented.one("make demo"))
    assert below(ended, "model") == "models:/xray-classifier-demo/1"
    assert "sensitivity" in ended.out


def test_the_demo_model_explains_and_scores(shell: Shell, documented: Documented) -> None:
    draw, explain, draw_more, score, again = documented
    assert "40 phantoms" in documented.run(shell, draw).out
    assert documented.run(shell, explain).err == ""
    scans = {path.stem for path in (shell.folder / "delivered" / "test").iterdir()}
    assert {path.name for path in (shell.folder / "maps").iterdir()} == {f"{scan}-map.png" for scan in scans}
    assert "400 phantoms" in documented.run(shell, draw_more).out
    inbox = len(list((shell.folder / "inbox" / "test").iterdir()))
    scored = documented.run(shell, score)
    assert re.search(rf"scored\W+{inbox}\b", scored.out)
    assert "Drift, run" in scored.out
    assert "no new scans: no file was written" in documented.run(shell, again).out


def test_phantoms_are_drawn(shell: Shell, documented: Documented) -> None:
    assert f"{SCANS} phantoms in coronahack" in documented.run(shell, documented.one("xray phantom")).out


def test_prepare_counts_every_scan(shell: Shell, documented: Documented) -> None:
    shown = documented.one("xray prepare")
    ended = documented.run(shell, shown, more=cheap(shown.text, images__height=64, images__width=64))
    assert f"{SCANS} decoded, 0 reused" in ended.out
    counts = re.findall(r"(?:test|train) (?:normal|pneumonia), \S+\W+(\d+) scans", ended.out)
    assert sum(map(int, counts)) == SCANS
    assert Path(below(ended, "catalog")).is_dir()


def test_each_run_ends_with_a_model(
    shell: Shell, documented: Documented, first: dict[str, Typed], prefect_url: str
) -> None:
    beside = shell.new(PREFECT_API_URL=prefect_url)  # the first starts a temporary server, the others are told of one
    for number, shown in enumerate(documented, 1):
        more = cheap(shown.text, images__height=64, images__width=64)
        ended = documented.run(shell if number == 1 else beside, shown, more=more)
        first[ended.command] = ended
        assert ended.err == ""
        assert f"0 decoded, {SCANS} reused" in ended.out, "xray prepare has decoded them"
        assert "epoch 1/1  loss " in ended.out
        assert "sensitivity" in ended.out
        assert below(ended, "model").partition(",")[0] == f"models:/xray-classifier/{number}"
        assert Path(below(ended, "scores")).is_file()


def test_results_are_listed_compared_and_shown(shell: Shell, documented: Documented, first: dict[str, Typed]) -> None:
    ids = [below(ended, "run") for ended in first.values()]
    listed = documented.run(shell, documented.one("xray runs"))
    assert [run for run in ids if run[:8] not in listed.out] == []
    compared = documented.run(shell, documented.one("xray compare"), swap={"RUN RUN": " ".join(ids)})
    assert compared.err == ""
    assert "TEST scans of" in compared.out
    assert "McNemar's p =" in compared.out
    assert [name for name in ("default-", "quick-") if name not in compared.out] == []
    (port,) = free_ports(1)
    page = documented.one("xray ui")
    assert {below(ended, "MLflow") for ended in first.values()} == {page.text}
    with documented.start(shell, "ui", page, more=f"--port {port}") as server:
        until(lambda: server.said("Ctrl-C ends it") and answers(f"http://127.0.0.1:{port}/health"), "MLflow's page")
        server.interrupt()
        server.ended()


def test_folds_and_trials_end_with_their_tables(shell: Shell, documented: Documented, first: dict[str, Typed]) -> None:
    folds, study = documented.one("xray cross-validate"), documented.one("xray tune")
    swap = {"DATA": "coronahack --recipe quick"}
    for shown, more in ((folds, cheap(folds.text, split__folds=2)), (study, f"--trials 2 {cheap(study.text)}")):
        ended = documented.run(shell, shown, swap, more)
        assert ended.err == ""
        first[ended.command] = ended
    assert "2 complete" in ended.out


def test_a_version_is_promoted_and_told_of(shell: Shell, documented: Documented) -> None:
    ended = documented.run(shell, documented.one("xray promote"), more=LAX)
    assert "xray-classifier version 1 promoted: every rule of the policy passes" in ended.out
    assert "champion" in documented.run(shell, documented.one("xray models")).out
    assert "promoted" in documented.run(shell, documented.one("xray history")).out


def test_the_champion_answers_for_files_and_a_folder(shell: Shell, documented: Documented) -> None:
    shutil.copytree(shell.folder / "coronahack" / "test", shell.folder / "data" / "inbox")
    scans = sorted((shell.folder / "data" / "inbox").iterdir())
    shutil.copy(scans[0], shell.folder / "scan.jpeg")
    for verb in ("xray predict", "xray explain"):
        ended = documented.run(shell, documented.one(verb))
        assert "xray-classifier@champion" in ended.out or "xray-classifier/1" in ended.out
    assert (shell.folder / "scan-map.png").is_file()
    score = documented.one("xray score")
    assert re.search(rf"scored\W+{len(scans)}\b", documented.run(shell, score).out)
    assert "no new scans: no file was written" in documented.run(shell, score).out


def test_the_champion_answers_without_our_commands(shell: Shell, documented: Documented) -> None:
    beside = shell.new()
    export, python, serve, write, ask = documented
    documented.export(beside, export)
    documented.run(beside, python)
    (port,) = free_ports(1)
    with documented.start(beside, "serve", serve, {"5001": str(port)}) as server:
        until(lambda: server.alive() and answers(f"http://127.0.0.1:{port}/ping"), "the model is served")
        documented.run(shell, write)
        answer = json.loads(documented.run(shell, ask, {"5001": str(port)}).out)
    assert 0 <= answer["predictions"][0]["p_pneumonia"] <= 1


def test_servers_run_a_deployment_from_a_new_shell(clone: Shell, shell: Shell, documented: Documented) -> None:
    up, again, elsewhere, address, password, store, store_password, deploy, run = documented
    prefect, mlflow = free_ports(2)
    with documented.start(clone, "up", up, more=f"PREFECT_PORT={prefect} MLFLOW_PORT={mlflow}") as servers:
        until(lambda: servers.said("Ctrl-C ends"), "xray up says that all is well")
        for shown in (again, elsewhere):
            assert "already running in" in documented.run(clone, shown).out
        beside = shell.new()
        for line in re.findall(r"^ *(export .+)$", servers.log.read_text(), re.MULTILINE):
            beside.export(line)
        typed = shell.new()
        documented.export(typed, address, {"4200": str(prefect)})
        documented.export(typed, password)
        assert typed.settings == beside.settings, "the page has what xray up prints"
        documented.export(typed, store, {"5000": str(mlflow)})
        documented.export(typed, store_password)
        assert "xray" in typed("python -c 'import mlflow; print(mlflow.search_experiments())'").out
        shutil.copy(PROJECT / "prefect.yaml", shell.folder)
        documented.run(beside, deploy)
        forced = "--param force=true --param reason=asked-for --watch"
        documented.run(beside, run, {"version=3": "version=2"}, forced)
        servers.interrupt()
        servers.ended()
    assert "asked-for (forced" in shell("xray history").out


def test_rollback_brings_the_champion_back(shell: Shell, documented: Documented) -> None:
    compared = documented.run(shell, documented.one("xray compare"), {"/4": "/1"})
    assert "McNemar's p =" in compared.out
    assert "xray-classifier version 1 returned" in documented.run(shell, documented.one("xray rollback")).out


def test_a_second_pass_decodes_and_trains_nothing_and_has_the_same_figures(
    shell: Shell, first: dict[str, Typed], prefect_url: str
) -> None:
    for line, before in first.items():
        again = shell.new(PREFECT_API_URL=prefect_url)(line)
        assert again.err == ""
        assert not re.search(r"epoch \d+/|[1-9]\d* decoded", again.out)
        assert below(again, "run").removesuffix(" (reused)") == below(before, "run")
        assert len(figures(again)) > 3
        assert figures(again) == figures(before)
        assert "reused)" in again.out or "nothing was trained" in again.out
