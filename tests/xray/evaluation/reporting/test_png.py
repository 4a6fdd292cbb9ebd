"""Pictures as addresses: smaller where nobody sees it, untouched where one would."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from xray.errors import EvaluationError
from xray.evaluation.reporting.png import MOST_COLOR_ERROR, embed, shrink


def png(pixels: NDArray[np.uint8]) -> bytes:
    written = BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def pixels_of(png: bytes) -> NDArray[np.int16]:
    with Image.open(BytesIO(png)) as opened:
        return np.asarray(opened.convert("RGB"), dtype=np.int16)


def grays() -> NDArray[np.uint8]:
    """Noise in gray, kept as RGB: uint8 (60, 80, 3)."""
    gray = np.random.default_rng(0).integers(256, size=(60, 80, 1))
    return np.repeat(gray, 3, axis=2).astype(np.uint8)


def colors() -> NDArray[np.uint8]:
    """Noise in all colours, more than a palette holds: uint8 (60, 80, 3)."""
    return np.random.default_rng(0).integers(256, size=(60, 80, 3)).astype(np.uint8)


def test_a_gray_picture_shrinks_and_keeps_its_looks() -> None:
    before = png(grays())
    after = shrink(before)
    assert len(after) < 0.6 * len(before)
    assert np.abs(pixels_of(after) - pixels_of(before)).max() <= MOST_COLOR_ERROR


def test_a_picture_of_too_many_colors_stays_as_it_is() -> None:
    before = png(colors())
    assert shrink(before) == before


def test_what_is_transparent_stands_on_white() -> None:
    drawn = np.dstack([grays(), np.full((60, 80), 255, dtype=np.uint8)])
    drawn[:10, :, 3] = 0
    after = pixels_of(shrink(png(drawn)))
    assert (after[:10] == 255).all()
    assert np.abs(after[10:] - drawn[10:, :, :3].astype(np.int16)).max() <= MOST_COLOR_ERROR


def test_the_address_holds_the_picture_and_its_size(tmp_path: Path) -> None:
    file = tmp_path / "colors.png"
    file.write_bytes(png(colors()))
    for embedded in (embed(file), embed(file.read_bytes())):
        kind, content = embedded.address.split(",", 1)
        assert kind == "data:image/png;base64"
        assert (pixels_of(b64decode(content)) == colors()).all()
        assert (embedded.width, embedded.height) == (80, 60)


def test_a_file_that_is_no_png_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "words.png"
    file.write_text("words")
    with pytest.raises(EvaluationError, match=r"must be a PNG file\. Received: .*words\.png"):
        embed(file)
    with pytest.raises(EvaluationError, match=r"Received: 5 bytes"):
        embed(b"words")


def test_a_png_cut_short_is_refused() -> None:
    with pytest.raises(EvaluationError, match="must be a PNG file"):
        embed(png(colors())[:2000])
