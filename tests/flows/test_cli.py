"""The command line: help that costs nothing, and every mistake of a user's answered in one line, at once.

All mistakes are made in one child, which never starts Prefect, TensorFlow or MLflow: what it had loaded after the last
of them is what none of them needed.
"""

import json
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
METADATA = "Chest_xray_Corona_Metadata.csv"
COMMANDS = [
    "run",
    "cross-validate",
    "tune",
    "prepare",
    "demo",
    "predict",
    "explain",
    "score",
    "runs",
    "compare",
    "models",
    "promote",
    "rollback",
    "history",
    "phantom",
    "download",
    "up",
    "ui",
]
LATIN = "r\udcf6"
"""The name that is no UTF-8 but Latin-1, as Python has it."""
NO_FILE, TEXT = "each file must be a scan. Received: ", "must have a path in UTF-8"
SLOW_TO_START = {"tensorflow", "keras", "mlflow", "prefect"}

CALL = """
import contextlib, io, json, sys, traceback
from flows.cli import main
answers = {}
for name, arguments in json.load(sys.stdin).items():
    sys.argv, code = ["xray", *arguments], 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            code = traceback.format_exc()
    answers[name] = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
print(json.dumps({"answers": answers, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


@dataclass(frozen=True)
class Answer:
    """What a command ended with."""

    code: int | str
    out: str
    err: str


def called(folder: Path, commands: dict[str, list[str]]) -> tuple[dict[str, Answer], set[str]]:
    """Call the command several times in one child; give the answers, and the packages loaded by then."""
    # GLIBC_TUNABLES: with it, a training does not start its process again.
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COLUMNS": "100", "GLIBC_TUNABLES": "glibc.malloc.check=0"}
    child = subprocess.run(
        [sys.executable, "-c", CALL],
        cwd=folder, env=environment, input=json.dumps(commands), capture_output=True, text=True, check=False,
        timeout=200,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    return {name: Answer(**answer) for name, answer in found["answers"].items()}, set(found["loaded"])


@dataclass(frozen=True)
class Mistake:
    """A command that is refused.

    Attributes:
        arguments: From the folder of mistakes to the command's arguments.
        words: What its one line says.
        spoil: From the metadata of good phantoms to that of the folder `data`, which is a copy of them.
    """

    arguments: list[str]
    words: list[str]
    spoil: Callable[[str], bytes | None] | None = None


def without(*words: str) -> Callable[[str], bytes]:
    """Leave out every row that has all these words."""
    return lambda text: "".join(
        line for line in text.splitlines(keepends=True) if not all(f",{word}," in line for word in words)
    ).encode()


def swapped(old: str, new: str) -> Callable[[str], bytes]:
    """Write something else in its place, everywhere."""
    return lambda text: text.replace(old, new).encode()


def added(line: str) -> Callable[[str], bytes]:
    """Add a line, which is number 42."""
    return lambda text: f"{text}{line}\n".encode()


def spoilt(words: list[str], spoil: Callable[[str], bytes | None], *settings: str) -> Mistake:
    """A run on phantoms whose metadata is spoilt."""
    return Mistake(["run", "data", "--recipe", "quick", *set_to(*settings)], words, spoil)


def set_to(*settings: str) -> list[str]:
    """Write settings as a command's arguments."""
    return [part for setting in settings for part in ("--set", setting)]


def kept(text: str) -> bytes:
    """Spoil nothing."""
    return text.encode()


Refused = tuple[dict[str, Answer], set[str], dict[str, Path]]
"""Answers, packages loaded after the last, and homes, by the mistake's name."""

Helped = tuple[dict[str, Answer], set[str]]
"""Answers by the command's name, and packages loaded after the last."""

MISTAKES = {
    "unknown recipe": Mistake(
        ["run", "good", "--recipe", "artcle"], ["one of article, default, quick", "Received: artcle"]
    ),
    "unknown key": Mistake(
        ["run", "good", "--set", "training.epoch=3"], ["did you mean training.epochs?", "Received: training.epoch"]
    ),
    "a key of a recipe file out of bounds": Mistake(
        ["run", "good", "--recipe", "good/bad.toml"], ["good/bad.toml: [training] epochs: must be", "Received: 0"]
    ),
    "a recipe file that extends nothing there is": Mistake(
        ["tune", "good", "--recipe", "good/lost.toml"], ["good/lost.toml: extends must be one", "did you mean quick?"]
    ),
    "value out of bounds": Mistake(["run", "good", "--set", "training.epochs=0"], ["training.epochs", "Received: 0"]),
    "value of another kind": Mistake(
        ["prepare", "good", "--set", "images.width=wide"], ["images.width", "Received: 'wide'"]
    ),
    "setting without a value": Mistake(["run", "good", "--set", "training.epochs"], ["KEY=VALUE"]),
    "no such folder": Mistake(["run", "nowhere"], ["an existing folder", "Received: nowhere"]),
    "a file for a folder": Mistake(["prepare", "a file"], ["an existing folder", "Received: a file"]),
    "no metadata": spoilt(["folders named by class", "or dataset.toml must say"], lambda text: None),
    "empty metadata": spoilt([METADATA, "an empty file"], lambda text: b""),
    "only a header": spoilt([METADATA, "only a header"], lambda text: text.splitlines()[0].encode()),
    "not CSV": spoilt([METADATA, "must be CSV", "line 42"], added('1,"a"b"')),
    "a row too short": spoilt([METADATA, "line 42", "6 fields. Received: 2"], added("1,a")),
    "not UTF-8": spoilt([METADATA, "must be UTF-8", "line 42"], lambda text: text.encode() + b"1,caf\xe9.png,,,,\n"),
    "column missing": spoilt(["column Label_1_Virus_category"], swapped(",Label_1_Virus_category", ",x")),
    "column misspelled": spoilt(["column Label.", "Lable (misspelled?)"], swapped(",Label,", ",Lable,")),
    "unknown labels": spoilt(["at most 5% of the rows", "10 of 40"], swapped(",Normal,", ",Healthy,")),
    "no TRAIN rows": spoilt(["Received: only TEST scans"], without("TRAIN")),
    "one class missing in TRAIN": spoilt(["no normal in train"], without("Normal", "TRAIN")),
    "one class missing in TEST": spoilt(["no pneumonia in test"], without("Pnemonia", "TEST")),
    "a fold that is not there": spoilt(["split.validation_fold", "Received: 5 of 5"], kept, "split.validation_fold=5"),
    "fewer scans of a class than folds": spoilt(["at least 20 TRAIN scans"], kept, "split.folds=20"),
    "more folds than scans of a class": Mistake(
        ["cross-validate", "good", "--recipe", "quick", "--set", "split.folds=20"], ["at least 20 TRAIN scans"]
    ),
    "no such space": Mistake(["tune", "good", "--space", "nowhere.toml"], ["--space must be a file", "nowhere.toml"]),
    "a space that is no TOML": Mistake(["tune", "good", "--space", "a file"], ["must be TOML", "a file"]),
    "a space of no key": Mistake(["tune", "good", "--space", "good/empty.toml"], ["at least one key", "empty.toml"]),
    "a folder in which a cause is missing": spoilt(
        ["each class. Received: no viral"],
        lambda text: "".join(line for line in text.splitlines(keepends=True) if ",Virus" not in line).encode(),
        "labels.scheme=cause",
    ),
    "weights in the home of nobody": Mistake(
        [
            "run",
            "good",
            *set_to("model.architecture=backbone", "model.backbone=densenet121", "model.weights=~nobody-/w.h5"),
        ],
        ["model.weights", "must be none, imagenet or a file"],
    ),
    "a space with a key that is not known": Mistake(
        ["tune", "good", "--space", "good/misspelt.toml"], ["did you mean training.epochs?", "Received: training.epoch"]
    ),
    "a space with a batch of more than all scans": Mistake(
        ["tune", "good", "--recipe", "quick", "--space", "good/large.toml"], ["batch of 64 scans", "Received: 34"]
    ),
    "fewer scans than a batch": spoilt(["batch of 64 scans", "Received: 34"], kept, "training.batch_size=64"),
    "a home that is a file": Mistake(["prepare", "good", "--home", "a file"], ["--home", "Received: a file"]),
    "a home below a file": Mistake(["run", "good", "--home", "a file/home"], ["--home", "Received: a file/home"]),
    "a scan that is not there": Mistake(["predict", "a file", "nowhere.png"], ["Received: nowhere.png (No such file"]),
    "a folder for a scan": Mistake(["predict", "good"], [NO_FILE, "good (unreadable: ", "a folder)"]),
    "a pipe for a scan": Mistake(["predict", "pipe"], [NO_FILE, "pipe (unreadable: ", "a pipe)"]),
    "a pipe to explain": Mistake(["explain", "pipe"], [NO_FILE, "pipe (unreadable: ", "a pipe)"]),
    "a device for a scan": Mistake(["predict", "/dev/zero"], [NO_FILE, "/dev/zero (unreadable: ", "a device)"]),
    "3 GB for a scan": Mistake(["explain", "sparse"], [NO_FILE, "sparse (too-large: ", "Received: 3,000,000,000)"]),
    "a link to itself": Mistake(["predict", "loop"], ["Received: loop (Too many levels of symbolic links)"]),
    "nothing from standard input": Mistake(["predict", "-"], ["standard input must contain a scan. Received: nothing"]),
    "nothing from it to explain": Mistake(["explain", "-"], ["standard input must contain a scan. Received: nothing"]),
    "a name with control characters": Mistake(["predict", "\x1b[31m\nb\x9b.png"], [r"\x1b[31m b\xc2\x9b.png (No such"]),
    "a name that is no UTF-8": Mistake(["explain", f"{LATIN}.png"], [r"Received: r\xf6.png (No such file"]),
    "data that is no UTF-8": Mistake(["prepare", LATIN], [f"the data folder {TEXT}", r"Received: r\xf6"]),
    "a home that is no UTF-8": Mistake(["run", "good", "--home", LATIN], [f"--home {TEXT}", r"Received: r\xf6"]),
    "servers in a home that is no UTF-8": Mistake(["up", "--home", LATIN], [f"--home {TEXT}", r"Received: r\xf6"]),
    "an inbox that is no UTF-8": Mistake(["score", LATIN, "--output", "s"], [f"the inbox {TEXT}"]),
    "scores in a folder that is no UTF-8": Mistake(["score", "good", "--output", LATIN], [f"--output {TEXT}"]),
    "no model yet": Mistake(["predict", "a file"], ["start with xray demo", "mlruns"]),
    "no model to explain": Mistake(["explain", "a file"], ["start with xray demo", "mlruns"]),
    "no scan to explain": Mistake(["explain", "nowhere.png"], ["Received: nowhere.png (No such file"]),
    "two maps of one name": Mistake(["explain", "a file", "good/a file"], ["different names", "a file-map.png"]),
    "maps below a file": Mistake(["explain", "a file", "--output", "a file/x"], ["--output must be", "a file/x"]),
    "no runs yet": Mistake(["runs"], ["start with xray demo", "mlruns"]),
    "no runs to compare": Mistake(["compare", "one", "other"], ["start with xray demo", "mlruns"]),
    "one run to compare": Mistake(["compare", "one"], ["at least two runs", "Received: one"]),
    "no inbox": Mistake(["score", "nowhere", "--output", "scores"], ["an existing folder", "Received: nowhere"]),
    "scores among the scans": Mistake(["score", "good", "--output", "good/s"], ["outside the inbox", "good/s"]),
    "a scheduler that does not answer": Mistake(
        ["prepare", "good", "--dask", "tcp://127.0.0.1:1"], ["--dask must name", "Received: tcp://127.0.0.1:1 ("]
    ),
    "a scheduler without a port": Mistake(
        ["cross-validate", "good", "--dask", "scheduler"], ["PROTOCOL://HOST:PORT", "Received: scheduler"]
    ),
    "a port that is no number": Mistake(["tune", "good", "--dask", "tcp://127.0.0.1:x"], ["Received: tcp://127.0.0.1:x"]),
    "no model to score with": Mistake(["score", "good", "--output", "scores"], ["start with xray demo", "mlruns"]),
    "no versions yet": Mistake(["models"], ["start with xray demo", "mlruns"]),
    "nothing to promote": Mistake(["promote", "1"], ["start with xray demo", "mlruns"]),
    "nothing to roll back": Mistake(["rollback"], ["start with xray demo", "mlruns"]),
    "no history yet": Mistake(["history"], ["start with xray demo", "mlruns"]),
    "scans that lie nowhere": Mistake(
        ["promote", "--data", "nowhere"], ["--data must be an existing folder", "Received: nowhere"]
    ),
    "force without a reason": Mistake(["promote", "--force"], ["--force needs --reason"]),
    "a policy key that is not known": Mistake(
        ["promote", "--set", "promotion.margin_acc=0.1"], ["did you mean promotion.margin_auc?"]
    ),
    "a key that is none of the policy's": Mistake(
        ["promote", "--set", "training.epochs=3"], ["promotion.KEY=VALUE", "Received: training.epochs=3"]
    ),
    "nothing to look at": Mistake(["ui", "--port", "{free port}"], ["start with xray demo", "mlruns"]),
    "a file that is no list of deployments": Mistake(
        ["up", "--deployments", "nowhere.yaml"], ["--deployments must be a file", "Received: nowhere.yaml"]
    ),
    "servers below a file": Mistake(["up", "--home", "a file/home"], ["--home", "Received: a file/home"]),
    "a port that is taken": Mistake(["ui", "--port", "{taken port}"], ["--port must be free", "{taken port}"]),
    "a size that is none": Mistake(["phantom", "new", "--size", "224"], ["WxH", "Received: 224"]),
    "a size out of bounds": Mistake(["phantom", "new", "--size", "8x8"], ["32 to 4096", "Received: 8x8"]),
    "too few phantoms": Mistake(["phantom", "new", "--scans", "3"], ["at least 40", "scans=3"]),
    "phantoms among files": Mistake(["phantom", "good"], ["or empty folder", "Received: good"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, str]]:
    """A port that something listens on, and one that was just let go."""
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        ports = {"{taken port}": str(taken.getsockname()[1]), "{free port}": str(free.getsockname()[1])}
        free.close()
        yield ports


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, str]) -> Refused:
    """Every mistake's answer, the packages loaded after the last, and the home of each."""
    from xray.data.phantoms.write_phantoms import write_phantoms

    root = tmp_path_factory.mktemp("mistakes")
    write_phantoms(root / "good", scans=40, seed=0, size=(32, 32))
    (root / "a file").write_text("no scan")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    (root / "sparse").touch()
    os.truncate(root / "sparse", 3_000_000_000)
    (root / LATIN).symlink_to("good")
    (root / "good" / "misspelt.toml").write_text('"training.epoch" = { low = 1, high = 2 }')
    (root / "good" / "bad.toml").write_text('extends = "quick"\n[training]\nepochs = 0\n')
    (root / "good" / "lost.toml").write_text('extends = "qiuck"\n')
    (root / "good" / "empty.toml").write_text("# none yet")
    (root / "good" / "large.toml").write_text('"training.batch_size" = { choices = [16, 64] }')
    text = (root / "good" / METADATA).read_text()
    commands, homes = {}, {}
    for name, mistake in MISTAKES.items():
        arguments = [ports.get(part, part) for part in mistake.arguments]
        if mistake.spoil is not None:
            folder = root / name.replace(" ", "-")
            folder.mkdir()
            for official in ("train", "test"):
                (folder / official).symlink_to(root / "good" / official)
            spoilt_text = mistake.spoil(text)
            if spoilt_text is not None:
                (folder / METADATA).write_bytes(spoilt_text)
            arguments = [folder.name if part == "data" else part for part in arguments]
        if "--home" not in arguments and arguments[0] != "phantom":
            homes[name] = root / "homes" / name
            arguments += ["--home", str(homes[name])]
        commands[name] = arguments
    answers, loaded = called(root, commands)
    return answers, loaded, homes


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_line_and_code_2(name: str, refused: Refused, ports: dict[str, str]) -> None:
    answer = refused[0][name]
    assert (answer.code, answer.out) == (2, ""), answer
    assert answer.err.startswith("xray: ")
    assert answer.err.count("\n") == 1, answer.err
    for words in MISTAKES[name].words:
        assert ports.get(words, words) in answer.err


def test_no_mistake_starts_prefect_or_tensorflow(refused: Refused) -> None:
    assert refused[1] & SLOW_TO_START == set()


@pytest.mark.parametrize("name", [name for name, each in MISTAKES.items() if "--home" not in each.arguments])
def test_a_mistake_leaves_nothing_behind(name: str, refused: Refused) -> None:
    home = refused[2].get(name)
    assert home is None or not home.exists()


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> Helped:
    """Each command's help and some mistyped commands, and the packages loaded after all of them."""
    commands = {name: [name, "--help"] for name in COMMANDS}
    mistyped = {
        "no argument": ["run"],
        "no such option": ["prepare", "data", "--recip", "quick"],
        "no command": ["rnu"],
    }
    asked = {"": ["--help"], "version": ["--version"], **commands, **mistyped}
    return called(tmp_path_factory.mktemp("help"), asked)


def test_the_help_lists_every_command(helped: Helped) -> None:
    answer = helped[0][""]
    assert answer.code == 0
    assert all(f" {name} " in answer.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_shows_an_example(name: str, helped: Helped) -> None:
    answer = helped[0][name]
    assert answer.code == 0
    assert f"Example: xray {name}" in answer.out


def test_the_version_is_the_packages(helped: Helped) -> None:
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    answer = helped[0]["version"]
    assert (answer.code, answer.out, answer.err) == (0, f"xray {pyproject['project']['version']}\n", "")


def test_help_loads_nothing_heavy(helped: Helped) -> None:
    assert helped[1] & (SLOW_TO_START | {"pandas", "pandera", "numpy", "sklearn", "matplotlib", "PIL"}) == set()


@pytest.mark.parametrize(
    ("name", "words"),
    [("no argument", "Missing argument"), ("no such option", "--recip"), ("no command", "No such command")],
)
def test_a_mistyped_command_ends_in_one_line_that_names_its_help_and_code_2(
    name: str, words: str, helped: Helped
) -> None:
    answer = helped[0][name]
    assert answer.code == 2
    assert answer.err.startswith("xray: ") and answer.err.count("\n") == 1
    assert words in answer.err
    assert answer.err.endswith(" --help lists the options\n")


def test_phantoms_are_drawn_by_the_command(tmp_path: Path) -> None:
    answers, loaded = called(tmp_path, {"drawn": ["phantom", "new", "--scans", "40", "--size", "48x32"]})
    drawn, further = answers["drawn"].out.splitlines()
    assert (answers["drawn"].code, drawn) == (0, "40 phantoms in new")
    assert further.endswith("xray run new --recipe quick")
    assert len(list((tmp_path / "new").glob("t*/*.jpeg"))) == 40
    assert loaded & SLOW_TO_START == set()
