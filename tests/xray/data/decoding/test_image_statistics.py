"""Brightness, contrast and sharpness, with values computed by hand."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from xray.data.decoding.image_statistics import image_statistics


def test_a_blank_scan_has_its_gray_and_nothing_else() -> None:
    looks = image_statistics(np.full((40, 30), 77, np.uint8))
    assert (looks.brightness, looks.contrast, looks.sharpness) == (77, 0, 0)


def test_half_black_half_white_by_hand() -> None:
    pixels = np.zeros((6, 6), np.uint8)
    pixels[:, 3:] = 200
    looks = image_statistics(pixels)
    assert (looks.brightness, looks.contrast) == (100, 100)
    # Of the inner 4 x 4, one column is 4 * 0 - 200 and one 4 * 200 - 600: mean 0, mean square 200 * 200 / 2.
    assert looks.sharpness == pytest.approx(20_000)


def test_blurring_takes_sharpness_and_leaves_brightness() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    sharp, blurred = (
        image_statistics(np.asarray(each)) for each in (picture, picture.filter(ImageFilter.GaussianBlur(2)))
    )
    assert blurred.sharpness < sharp.sharpness / 10
    assert blurred.brightness == pytest.approx(sharp.brightness, abs=2)
