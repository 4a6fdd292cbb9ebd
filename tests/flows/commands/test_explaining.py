"""The command `xray explain`, with a model in a folder: a picture a file, or one line and no picture."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.flows.test_cli import Answer, called
from xray.config import Images, Model
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.evaluation.decision.rule import DecisionRule
from xray.evaluation.reporting.model_card import SAFETY
from xray.models.package import Settings, save
from xray.training.networks.architectures import build

pytestmark = pytest.mark.long(45)

IMAGES = Images(height=48, width=40)
LATIN = "r\udcf6\x1b[31m\nb.jpeg"
"""A name with a byte that is no UTF-8, a control sequence and an end of line."""
SHOWN = r"r\xf6\x1b[31m\x0ab.jpeg"


@dataclass(frozen=True)
class Called:
    """The commands' folder, and what each ended with."""

    folder: Path
    answers: dict[str, Answer]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Called:
    """All commands, from one child."""
    folder = tmp_path_factory.mktemp("explain")
    write_phantoms(folder / "phantoms", scans=40, seed=0, size=(64, 64))
    scans = sorted((folder / "phantoms").rglob("*.jpeg"))
    shutil.copy(scans[0], folder / "a $can 片.jpeg")
    shutil.copy(scans[1], folder / "other.jpeg")
    shutil.copy(scans[2], folder / LATIN)
    os.mkfifo(folder / "pipe")
    (folder / "home").mkdir()
    (folder / "page.png").write_text("<html>")
    keras.utils.set_random_seed(0)
    build(Model(architecture="quick"), IMAGES, seed=0).save(folder / "model.keras")
    save(folder / "model", folder / "model.keras", Settings.of(IMAGES, DecisionRule.at(0.5)))
    with_model = ["--model", "model", "--home", "home"]
    commands = {
        "drawn": ["explain", "a $can 片.jpeg", "other.jpeg", "--output", "maps/new", *with_model],
        "one is no scan": ["explain", "other.jpeg", "page.png", "--output", "refused", *with_model],
        "odd names": ["explain", LATIN, "--output", "odd", *with_model],
        "predicted": ["predict", LATIN, "pipe", "other.jpeg", "--json", *with_model],
        "shown": ["predict", LATIN, *with_model],
        "no such model": ["explain", "other.jpeg", "--output", "refused", "--model", "phantoms", "--home", "home"],
    }
    return Called(folder, called(folder, commands)[0])


def test_a_picture_a_file_a_table_and_the_safety_line(ended: Called) -> None:
    answer = ended.answers["drawn"]
    assert (answer.code, answer.err) == (0, "")
    for words in ("a $can 片.jpeg", "maps/new/other-map.png", "p_pneumonia", "decision", SAFETY):
        assert words in answer.out
    assert {path.name for path in (ended.folder / "maps" / "new").iterdir()} == {"a $can 片-map.png", "other-map.png"}


def test_the_picture_shows_the_scan_in_gray_and_its_map_in_colour(ended: Called) -> None:
    with Image.open(ended.folder / "maps" / "new" / "other-map.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    colored = np.ptp(pixels[pixels.shape[0] // 2 :], axis=2) > 60
    half = colored.shape[1] // 2
    assert not colored[:, :half].any()
    assert colored[:, half:].mean() > 0.01


def test_a_name_of_any_bytes_is_drawn_scored_and_shown_escaped(ended: Called) -> None:
    answer = ended.answers["odd names"]
    assert (answer.code, answer.err) == (0, "")
    assert SHOWN in answer.out and "\x1b" not in answer.out
    (picture,) = (ended.folder / "odd").iterdir()
    assert picture.name == LATIN.replace(".jpeg", "-map.png")
    answer = ended.answers["shown"]
    assert (answer.code, answer.err) == (0, "")
    assert SHOWN in answer.out and "\x1b" not in answer.out


def test_of_several_the_one_that_is_no_scan_is_said_and_the_others_are_scored(ended: Called) -> None:
    answer = ended.answers["predicted"]
    assert answer.code == 2
    assert answer.err == "xray: each file must be a scan; the table says why not. Received: 1 that are not scans\n"
    rows = json.loads(answer.out)
    assert [row["file"] for row in rows] == [SHOWN, "pipe", "other.jpeg"]
    assert [row["p_pneumonia"] is None for row in rows] == [False, True, False]
    assert rows[1]["error"] == "unreadable: a scan must be a file. Received: a pipe"


@pytest.mark.parametrize(("name", "words"), [("one is no scan", "page.png"), ("no such model", "MLmodel")])
def test_a_mistake_is_one_line_and_leaves_no_picture(name: str, words: str, ended: Called) -> None:
    answer = ended.answers[name]
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("xray: ") and answer.err.count("\n") == 1
    assert words in answer.err
    assert not (ended.folder / "refused").exists()
