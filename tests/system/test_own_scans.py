"""Anyone's scans: every layout of docs/your-own-scans.md trains, and a private source's names stay in the home."""

import base64
import json
import re
import shutil
from pathlib import Path

import httpx
import pandas as pd
import pytest

from tests.system.conftest import PROJECT
from tests.system.started import answers, free_ports
from tests.system.typed import Documented, Shell, cheap
from tests.system.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

PLANTED = (b"PHANTOM-0", b"Phantom^Person", b"IMG000")
"""People and files of the DICOM phantoms."""

MAY_HOLD_NAMES = ("data/private", "data/cleaned", "data/digests.parquet")
"""Where the home keeps which file is whose; nothing of it is sent anywhere."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Shell:
    folder = tmp_path_factory.mktemp("own-scans")
    (folder / "home").mkdir()
    return Shell(folder / "home", folder / "user", PREFECT_API_URL=prefect_url)


def files_with_names(home: Path) -> list[str]:
    """List the files of a home that hold a planted name, those apart that may, and our own code in kept models."""
    found = []
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_file() and not name.startswith(MAY_HOLD_NAMES) and "/code/xray/" not in name:
            content = path.read_bytes()
            found += [name for word in PLANTED if word in content]
    return found


def test_every_layout_trains_from_a_documented_command(shell: Shell, documented: Documented) -> None:
    for shown in documented:
        if "phantom" in shown.text:
            documented.run(shell, shown, more="--scans 120 --size 64x64")
            continue
        ended = documented.run(shell, shown, more=cheap(shown.text))
        assert "models:/xray-classifier/" in ended.out
        assert ("TEST is not official" in ended.out) == ("folders" not in shown.text)
    home = shell.folder
    shutil.rmtree(home / "my-films")
    assert files_with_names(home) == []
    assert (home / "data" / "private" / "names.parquet").is_file()


def test_two_sources_are_held_out_in_turn(shell: Shell, documented: Documented) -> None:
    (shown,) = documented
    for layout in ("folders", "table"):
        if not (shell.folder / f"my-{layout}").is_dir():
            name = {"folders": "class-folders"}.get(layout, layout)
            shell(f"xray phantom my-{layout} --scans 120 --size 64x64 --layout {name}")
    out = documented.run(shell, shown, more=cheap(shown.text)).out
    assert "auc on class-folders" not in out
    assert "held out" in out
    assert "auc on my-folders" in out
    assert "auc on my-table" in out


def test_tuberculosis_goes_from_a_folder_to_a_served_answer(shell: Shell, documented: Documented) -> None:
    draw, run, promote, predict = documented
    documented.run(shell, draw, more="--scans 120 --size 64x64")
    (shell.folder / "tuberculosis.toml").write_text('finding = "tuberculosis"\nclasses = ["tuberculosis", "normal"]\n')
    ended = documented.run(shell, run, more=cheap(run.text))
    assert "models:/xray-classifier-tuberculosis/1" in ended.out
    report = Path(re.findall(r"^report +(\S+)", ended.out, re.MULTILINE)[0]).read_text()
    assert "Positive means tuberculosis." in report
    assert "pneumonia" not in report
    documented.run(shell, promote)
    scan = min((shell.folder / "my-lungs" / "test" / "NORMAL").iterdir())
    shutil.copy(scan, shell.folder / "scan.jpeg")
    answered = documented.run(shell, predict, more="--json").out
    (row,) = json.loads(answered)
    assert row["decision"] in ("tuberculosis", "normal", "refer")
    assert f"{row['p_tuberculosis']:.4f}" in shell(predict.text).out
    (port,) = free_ports(1)
    store = f"export MLFLOW_TRACKING_URI=sqlite:///{shell.folder}/mlruns/mlflow.db"
    model = "models:/xray-classifier-tuberculosis@champion"
    serve = f"mlflow models serve -m {model} --env-manager local --host 127.0.0.1 --port {port}"
    with shell.start("serve", f"{store}; {serve}") as server:
        until(lambda: server.alive() and answers(f"http://127.0.0.1:{port}/ping"), "the model is served")
        body = {"dataframe_split": {"columns": ["image"], "data": [[base64.b64encode(scan.read_bytes()).decode()]]}}
        answer = httpx.post(f"http://127.0.0.1:{port}/invocations", json=body, timeout=60, trust_env=False)
    (served,) = answer.json()["predictions"]
    assert served["p_tuberculosis"] == pytest.approx(row["p_tuberculosis"], abs=1e-6)
    assert served["decision"] == row["decision"]
    shell("mkdir inbox && cp scan.jpeg inbox")
    scored = shell("xray score inbox --output scores --model-name xray-classifier-tuberculosis").out
    assert "called tuberculosis" in scored
    assert "p tuberculosis" in scored, "its drift is told"
    (kept,) = (shell.folder / "scores").glob("scores-*.parquet")
    assert pd.read_parquet(kept)["p_tuberculosis"].tolist() == [pytest.approx(row["p_tuberculosis"], abs=1e-6)]


def test_a_folder_is_described_and_its_first_dataset_toml_is_written(shell: Shell, documented: Documented) -> None:
    scans = shell.folder / "my-scans"
    shell("xray phantom my-scans --scans 40 --size 64x64 --layout table")
    table = (scans / "metadata.csv").read_text().replace("file_name,label", "Bild,Befund")
    (scans / "metadata.csv").unlink()
    (scans / "liste.csv").write_text(table)
    look, write, again = documented
    first = documented.run(shell, look, code=2)
    assert "Bild" in first.out
    assert "the columns of liste.csv must be named" in first.err
    documented.run(shell, write)
    assert 'file = "Bild"' in (scans / "dataset.toml").read_text()
    second = documented.run(shell, again).out
    assert "xray run my-scans" in second
    assert "a first dataset.toml" in first.out
    assert "a first dataset.toml" not in second, "it has one by now"


def test_the_adult_scans_train_with_a_dataset_toml_of_two_lines(shell: Shell) -> None:
    adult = PROJECT.parent / "shared" / "data" / "adult"
    if not adult.is_dir():
        pytest.skip(f"the adult scans are not there: {adult}")
    shutil.copytree(adult, shell.folder / "adult")
    (shell.folder / "adult" / "dataset.toml").write_text('layout = "nih-chestxray14"\nname = "adult"\n')
    ended = shell(f"xray run adult --recipe quick {cheap('')}")
    assert "24 of 120 scans were drawn by patient" in ended.out
