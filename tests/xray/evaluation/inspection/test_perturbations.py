"""Changes of a scan, by hand on small pictures: shape and type stay, and each scan is changed by itself."""

import numpy as np
import pytest
from numpy.typing import NDArray

from xray.evaluation.inspection.perturbations import (
    ROBUSTNESS,
    SHORTCUTS,
    Perturbation,
    as_jpeg,
    blurred,
    border_masked,
    centre_masked,
    cropped,
    half_resolution,
    inverted,
    noisy,
    rotated,
    with_gamma,
)

ALL = {**ROBUSTNESS, **SHORTCUTS}


def scan(*rows: list[int]) -> NDArray[np.uint8]:
    return np.array([rows], dtype=np.uint8)


def flat(gray: int, size: int = 40) -> NDArray[np.uint8]:
    return np.full((1, size, size), gray, dtype=np.uint8)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """Four scans of 37 x 50, brighter to the right, with grain."""
    generator = np.random.default_rng(0)
    ramp = np.linspace(40, 200, 50)[None, None, :] + generator.normal(scale=12, size=(4, 37, 50))
    return np.clip(ramp, 0, 255).astype(np.uint8)


def test_the_named_sets() -> None:
    assert list(ROBUSTNESS) == [
        "rotated_5_degrees",
        "rotated_10_degrees",
        "cut_above_and_below",
        "cut_at_the_sides",
        "noise",
        "gamma_0.7",
        "gamma_1.4",
        "jpeg_30",
        "half_resolution",
        "inverted",
    ]
    assert list(SHORTCUTS) == ["centre_masked", "border_masked", "blurred"]


@pytest.mark.parametrize("change", ALL.values(), ids=ALL)
class TestEachChange:
    def test_keeps_shape_and_type_and_the_scans_it_was_given(
        self, change: Perturbation, pixels: NDArray[np.uint8]
    ) -> None:
        before = pixels.copy()
        changed = change(pixels)
        assert (changed.shape, changed.dtype) == (pixels.shape, pixels.dtype)
        assert np.array_equal(pixels, before)
        assert not np.array_equal(changed, pixels)

    def test_changes_a_scan_whatever_stands_beside_it(self, change: Perturbation, pixels: NDArray[np.uint8]) -> None:
        assert np.array_equal(change(pixels)[[2, 1]], change(pixels[[2, 1]]))

    def test_takes_no_scans(self, change: Perturbation, pixels: NDArray[np.uint8]) -> None:
        assert change(pixels[:0]).shape == (0, 37, 50)


def test_a_quarter_turn_goes_against_the_clock() -> None:
    corner = scan([0, 0, 9], [0, 0, 5], [0, 0, 0])
    assert rotated(corner, 90).tolist() == scan([9, 5, 0], [0, 0, 0], [0, 0, 0]).tolist()


def test_a_cut_stretches_what_is_left() -> None:
    rows = scan(*[[gray] * 4 for gray in (0, 0, 200, 200, 100, 100, 0, 0)])
    cut = cropped(rows, rows=0.25)
    assert cut.shape == rows.shape
    assert (cut[0, 1:3] == 200).all()
    assert (cut[0, 5:7] == 100).all()
    columns = np.swapaxes(rows, 1, 2)
    assert np.array_equal(cropped(columns, columns=0.25), np.swapaxes(cut, 1, 2))


def test_a_turn_brings_no_black_corners_in() -> None:
    assert rotated(flat(90), 10).tolist() == flat(90).tolist()


def test_ten_degrees_move_a_point_as_far_as_the_arc_is_long() -> None:
    picture = np.zeros((1, 201, 201), dtype=np.uint8)
    picture[0, 98:103, 178:183] = 255  # 80 to the right of the centre
    y, x = np.argwhere(rotated(picture, 10)[0] > 127).mean(axis=0) - 100
    assert (x, y) == pytest.approx((80 * np.cos(np.radians(10)), -80 * np.sin(np.radians(10))), abs=0.3)


def test_noise_has_the_stated_spread_and_no_drift() -> None:
    added = noisy(flat(128, 300), 10, seed=0).astype(float) - 128
    assert added.mean() == pytest.approx(0, abs=0.1)
    assert added.std() == pytest.approx(np.hypot(10, np.sqrt(1 / 12)), rel=0.01)  # rounding adds its own


def test_noise_follows_from_its_seed() -> None:
    once, again, other = (noisy(flat(128), 10, seed) for seed in (3, 3, 4))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_noise_ends_at_black_and_white() -> None:
    assert noisy(flat(255), 30, seed=0).max() == 255
    assert noisy(flat(255), 30, seed=0).min() > 100  # nothing wraps around


def test_gamma_by_hand() -> None:
    grays = scan([0, 64, 128, 255])
    assert with_gamma(grays, 1).tolist() == grays.tolist()
    assert with_gamma(grays, 0.7).tolist() == [[[0, 97, 157, 255]]]  # 255 * (64 / 255) ** 0.7 = 96.9
    assert with_gamma(grays, 2).tolist() == [[[0, 16, 64, 255]]]  # 64 * 64 / 255 = 16.06


def test_jpeg_keeps_flat_gray_and_loses_more_detail_the_lower_the_quality(pixels: NDArray[np.uint8]) -> None:
    assert as_jpeg(flat(128), 30).tolist() == flat(128).tolist()
    lost = [np.abs(as_jpeg(pixels, quality).astype(float) - pixels).mean() for quality in (95, 75, 30)]
    assert lost == sorted(lost)
    assert lost[-1] > 2 * lost[0]


def test_half_the_resolution_by_hand() -> None:
    # Two and two are averaged, and the averages are joined by straight lines between the middles of the pairs.
    assert half_resolution(scan([10, 30])).tolist() == [[[20, 20]]]
    assert half_resolution(scan([0, 0, 100, 100])).tolist() == [[[0, 25, 75, 100]]]


def test_half_the_resolution_takes_fine_stripes_away() -> None:
    stripes = np.tile(np.array([0, 200], dtype=np.uint8), (1, 8, 4))
    assert set(half_resolution(stripes).ravel()) == {100}


def test_inverted_by_hand() -> None:
    assert inverted(scan([0, 1, 128, 255])).tolist() == [[[255, 254, 127, 0]]]


FRAMED = scan([1, 2, 1, 2, 1], [2, 200, 210, 200, 2], [1, 210, 220, 210, 1], [2, 200, 210, 200, 2], [1, 2, 1, 2, 1])


def test_masks_by_hand() -> None:
    inside = np.zeros((5, 5), dtype=bool)
    inside[1:4, 1:4] = True
    without_centre, without_border = centre_masked(FRAMED)[0], border_masked(FRAMED)[0]
    assert set(without_centre[inside]) == {2}  # eight of 1 and eight of 2: 1.5, and halves go to even
    assert np.array_equal(without_centre[~inside], FRAMED[0][~inside])
    assert set(without_border[~inside]) == {207}  # four of 200, four of 210, one of 220: 206.7
    assert np.array_equal(without_border[inside], FRAMED[0][inside])


def test_nothing_of_what_is_hidden_gets_through(pixels: NDArray[np.uint8]) -> None:
    other = pixels.copy()
    other[:, 10:-10, 10:-10] = 255 - other[:, 10:-10, 10:-10]
    assert np.array_equal(centre_masked(other), centre_masked(pixels))
    other = pixels.copy()
    other[:, :2] = 0
    assert np.array_equal(border_masked(other), border_masked(pixels))


def test_the_centre_is_71_percent_of_a_scan() -> None:
    ramp = np.arange(300 * 300, dtype=np.int64).reshape(1, 300, 300) % 251
    assert (border_masked(ramp.astype(np.uint8)) == ramp).mean() == pytest.approx(0.84**2, abs=0.005)


def test_a_blurred_edge_is_as_wide_as_the_stated_share_of_the_width() -> None:
    edge = np.zeros((1, 20, 100), dtype=np.uint8)
    edge[:, :, 50:] = 255
    kernel = np.diff(blurred(edge, 0.05)[0, 10].astype(float))
    places = np.arange(1, 100) - 50
    spread = np.sqrt((kernel * places**2).sum() / kernel.sum())
    assert spread == pytest.approx(5, rel=0.05)
    assert blurred(flat(90), 0.05).tolist() == flat(90).tolist()
