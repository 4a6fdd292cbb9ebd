"""What a scan is turned into follows from (seed, epoch, scan) alone."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xray.config import Augmentation, Images
from xray.training.augmentation import COLUMNS, GEOMETRY, affine_rows, changes, draw_transforms

IMAGES = Images(height=32, width=40)
FRAMING = Augmentation(zoom=0.3, rotation=0.1, flip=True, aspect=0.3, shift=0.1)
ALL_OF_IT = Augmentation(
    zoom=0.3, rotation=0.1, flip=True, aspect=0.3, shift=0.1, gamma=0.3, contrast=0.3, brightness=0.2, erase=0.5,
    sharpness=0.5, noise=0.1,
)  # fmt: skip


@pytest.fixture(scope="module")
def scans() -> NDArray[np.uint8]:
    """Eighteen scans of noise."""
    return np.random.default_rng(1).integers(0, 256, (18, IMAGES.height, IMAGES.width, 1), np.uint8)


def applied(
    scans: NDArray[np.uint8], rows: NDArray[np.float32], augmentation: Augmentation = FRAMING
) -> NDArray[np.uint8]:
    rows = np.pad(rows, ((0, 0), (0, COLUMNS - rows.shape[1])))
    return np.asarray(changes(augmentation)(scans, rows))


def assert_same(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """Of a mean in float32 the last bit depends on the processor, and with it now and then a gray level."""
    apart = np.abs(found.astype(np.int16) - expected)
    assert apart.max(initial=0) <= 1
    assert np.count_nonzero(apart) <= apart.size / 1000


class TestHandWorked:
    """A 3 x 4 scan (3 rows, 4 columns), small enough to turn in the head."""

    def turned(self, scan: list[list[int]], scale: float, angle: float, mirrored: bool) -> list[list[int]]:
        pixels = np.array(scan, np.uint8)[np.newaxis, ..., np.newaxis]
        images = Images.model_construct(height=pixels.shape[1], width=pixels.shape[2])
        rows = affine_rows(images, np.array([scale]), np.array([angle]), np.array([mirrored]))
        return applied(pixels, rows)[0, ..., 0].tolist()

    def test_nothing_changes_nothing(self) -> None:
        scan = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
        assert self.turned(scan, 1, 0, False) == scan

    def test_a_mirrored_scan_is_exact(self) -> None:
        scan = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
        assert self.turned(scan, 1, 0, True) == [[4, 3, 2, 1], [8, 7, 6, 5], [12, 11, 10, 9]]

    def test_a_quarter_turn_moves_the_top_right_corner_to_the_top_left(self) -> None:
        scan = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        assert self.turned(scan, 1, np.pi / 2, False) == [[3, 6, 9], [2, 5, 8], [1, 4, 7]]

    def test_a_mirrored_quarter_turn_is_mirrored_left_and_right_after_it(self) -> None:
        scan = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        assert self.turned(scan, 1, np.pi / 2, True) == [[9, 6, 3], [8, 5, 2], [7, 4, 1]]

    def test_what_lies_beyond_the_border_is_mirrored_in_it(self) -> None:
        # The middle of a 2 x 4 scan seen twice as wide: columns at -1.5, 0.5, 2.5, 4.5, rows at -0.5 and 1.5.
        # Mirrored at the border, -1.5 is 0.5 and 4.5 is 2.5; halves lie between two columns.
        scan = [[0, 20, 40, 60], [0, 20, 40, 60]]
        assert self.turned(scan, 2, 0, False) == [[10, 10, 50, 50], [10, 10, 50, 50]]


class TestDraw:
    def test_zero_ranges_leave_every_scan_as_it_is(self, scans: NDArray[np.uint8]) -> None:
        rows = draw_transforms(Augmentation(), IMAGES, 0, 0, 18)
        assert rows.dtype == np.float32
        assert rows[:, :GEOMETRY].tolist() == 18 * [[1, 0, 0, 0, 1, 0, 0, 0]]
        np.testing.assert_array_equal(applied(scans, rows, ALL_OF_IT), scans)

    def test_flip_alone_mirrors_about_half_of_them_exactly(self, scans: NDArray[np.uint8]) -> None:
        turned = applied(scans, draw_transforms(Augmentation(flip=True), IMAGES, 0, 0, 18))
        kept = [bool((after == before).all()) for after, before in zip(turned, scans, strict=True)]
        mirrored = [bool((after == before[:, ::-1]).all()) for after, before in zip(turned, scans, strict=True)]
        assert [one != other for one, other in zip(kept, mirrored, strict=True)] == 18 * [True]
        many = draw_transforms(Augmentation(flip=True), IMAGES, 0, 0, 10_000)
        assert 4_800 < (many[:, 0] < 0).sum() < 5_200  # four standard deviations of a fair coin

    def test_depends_on_seed_epoch_and_scan(self) -> None:
        rows = draw_transforms(ALL_OF_IT, IMAGES, 1, 2, 50)
        np.testing.assert_array_equal(rows, draw_transforms(ALL_OF_IT, IMAGES, 1, 2, 50))
        np.testing.assert_array_equal(rows[:20], draw_transforms(ALL_OF_IT, IMAGES, 1, 2, 20))
        assert (rows != draw_transforms(ALL_OF_IT, IMAGES, 2, 2, 50)).any(axis=1).all()
        assert (rows != draw_transforms(ALL_OF_IT, IMAGES, 1, 3, 50)).any(axis=1).all()
        assert len(np.unique(rows, axis=0)) == 50

    @settings(max_examples=50, deadline=None)
    @given(
        zoom=st.floats(0, 0.9),
        rotation=st.floats(0, 0.5),
        flip=st.booleans(),
        seed=st.integers(0, 2**32 - 1),
        epoch=st.integers(0, 9_999),
        height=st.integers(32, 400),
        width=st.integers(32, 400),
    )
    def test_stays_within_the_ranges_about_the_centre(
        self, zoom: float, rotation: float, flip: bool, seed: int, epoch: int, height: int, width: int
    ) -> None:
        images = Images(height=height, width=width)
        rows = draw_transforms(Augmentation(zoom=zoom, rotation=rotation, flip=flip), images, seed, epoch, 20)
        a0, a1, a2, b0, b1, b2, *rest = rows[:, :GEOMETRY].astype(np.float64).T
        scale, angle = np.hypot(a1, b1), np.arctan2(-a1, b1)
        assert np.abs(scale - 1).max() <= zoom + 1e-5
        assert np.abs(angle).max() <= 2 * np.pi * rotation + 1e-4
        determinant = a0 * b1 - a1 * b0
        np.testing.assert_allclose(np.abs(determinant), scale**2, rtol=1e-4, atol=1e-6)  # no shear, one zoom for both
        assert flip or (determinant > 0).all()
        x, y = (width - 1) / 2, (height - 1) / 2
        np.testing.assert_allclose([a0 * x + a1 * y + a2, b0 * x + b1 * y + b2], np.tile([[x], [y]], 20), atol=1e-3)
        assert not np.any(rest)

    @settings(max_examples=50, deadline=None)
    @given(
        aspect=st.floats(0, 1),
        shift=st.floats(0, 0.5),
        gray=st.tuples(st.floats(0, 2), st.floats(0, 2), st.floats(0, 1)),
        erase=st.floats(0, 1),
        detail=st.tuples(st.floats(0, 1), st.floats(0, 0.5)),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_aspect_place_gray_box_and_detail_stay_within_their_ranges(
        self,
        aspect: float,
        shift: float,
        gray: tuple[float, float, float],
        erase: float,
        detail: tuple[float, float],
        seed: int,
    ) -> None:
        (gamma, contrast, brightness), (sharpness, noise) = gray, detail
        ranges = Augmentation(
            aspect=aspect, shift=shift, gamma=gamma, contrast=contrast, brightness=brightness, erase=erase,
            sharpness=sharpness, noise=noise,
        )  # fmt: skip
        drawn = draw_transforms(ranges, IMAGES, seed, 3, 20).astype(np.float64)
        a0, a1, a2, b0, b1, b2 = drawn[:, :6].T
        assert np.abs(np.log(a0 / b1)).max() <= aspect + 1e-5
        np.testing.assert_allclose(a0 * b1, 1, rtol=1e-5)  # as much is seen as before
        assert not np.any([a1, b0])
        x, y = (IMAGES.width - 1) / 2, (IMAGES.height - 1) / 2
        assert np.abs(a0 * x + a2 - x).max() <= shift * IMAGES.width + 1e-3
        assert np.abs(b1 * y + b2 - y).max() <= shift * IMAGES.height + 1e-3
        power, factor, added, top, bottom, left, right, fill, sharp, rough, *window = drawn[:, GEOMETRY:].T
        assert np.abs(np.log(power)).max() <= gamma + 1e-5
        assert np.abs(np.log(factor)).max() <= contrast + 1e-5
        assert np.abs(added).max() <= 255 * brightness + 1e-3
        for near, far in ((top, bottom), (left, right)):
            assert near.min() >= 0
            assert far.max() <= 1 + 1e-6
            assert (far - near).min() >= 0
            assert (far - near).max() <= erase + 1e-6
        assert fill.min() >= 0
        assert fill.max() <= 255
        assert np.abs(sharp).max() <= sharpness + 1e-6
        assert rough.min() >= 0
        assert rough.max() <= 255 * noise + 1e-3
        assert 0 <= np.min(window) <= np.max(window) < 1


class TestGray:
    """One scan of four grays, under changes that a person can compute."""

    SCAN = np.array([[[[0], [64]], [[128], [255]]]], np.uint8)

    def changed(self, *, power: float = 1, factor: float = 1, added: float = 0) -> list[list[int]]:
        drawn = np.array([[1, 0, 0, 0, 1, 0, 0, 0, power, factor, added, *9 * [0]]], np.float32)
        return applied(self.SCAN, drawn, Augmentation(gamma=0.1))[0, ..., 0].tolist()

    def test_gamma_leaves_black_and_white(self) -> None:
        assert self.changed(power=2) == [[0, 16], [64, 255]]

    def test_contrast_turns_about_the_mean(self) -> None:
        assert self.changed(factor=0.5) == [[56, 88], [120, 183]]  # the mean is 111.75

    def test_brightness_is_cut_off_at_black_and_white(self) -> None:
        assert self.changed(added=100) == [[100, 164], [228, 255]]
        assert self.changed(added=-100) == [[0, 0], [28, 155]]

    def test_a_box_is_covered_and_the_rest_is_not(self) -> None:
        scan = np.full((1, 4, 4, 1), 9, np.uint8)
        drawn = np.array([[1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0.25, 0.75, 0.5, 1, 200, *4 * [0]]], np.float32)
        covered = applied(scan, drawn, Augmentation(erase=0.5))[0, ..., 0]
        assert covered.tolist() == [[9, 9, 9, 9], [9, 9, 200, 200], [9, 9, 200, 200], [9, 9, 9, 9]]


class TestDetail:
    def changed(self, scan: NDArray[np.uint8], *detail: float) -> NDArray[np.uint8]:
        plain = [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
        rows = np.array(len(scan) * [[*plain, *detail]], np.float32)
        return applied(scan, rows, Augmentation(sharpness=1, noise=0.5))[..., 0]

    def test_a_blurred_point_is_a_pyramid_and_a_sharpened_one_stands_out(self) -> None:
        scan = np.full((1, 9, 9, 1), 81, np.uint8)
        scan[0, 4, 4] = 162
        pyramid = np.pad(np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]), 2)  # of 81: a ninth, twice
        assert self.changed(scan, -1, 0, 0, 0)[0].tolist() == (81 + pyramid).tolist()
        point = scan[0, ..., 0].astype(int) - 81
        assert self.changed(scan, 1, 0, 0, 0)[0].tolist() == (81 + 2 * point - pyramid).tolist()

    def test_an_even_scan_stays_even_up_to_its_border(self) -> None:
        scan = np.full((1, 9, 9, 1), 77, np.uint8)
        assert (self.changed(scan, -1, 0, 0, 0) == 77).all()

    def test_noise_has_its_spread_and_no_mean_and_differs_from_place_to_place(self) -> None:
        scans = np.full((1, 256, 256, 1), 128, np.uint8)
        here, there = (self.changed(scans, 0, 10, *place)[0].astype(float) - 128 for place in ((0.1, 0.9), (0.1, 0.2)))
        for noise in (here, there):
            assert abs(noise.mean()) < 4 * 10 / 256  # four standard errors of 65,536 draws
            assert abs(noise.std() - 10) < 4 * 10 / np.sqrt(2 * 65_536)
        assert abs(np.corrcoef(here.ravel(), there.ravel())[0, 1]) < 4 / 256
        np.testing.assert_array_equal(self.changed(scans, 0, 0, 0.1, 0.9), scans[..., 0])


class TestApply:
    def test_gives_bytes_of_the_same_shape(self, scans: NDArray[np.uint8]) -> None:
        turned = applied(scans, draw_transforms(ALL_OF_IT, IMAGES, 0, 0, 18), ALL_OF_IT)
        assert turned.dtype == np.uint8
        assert turned.shape == scans.shape
        assert (turned != scans).any(axis=(1, 2, 3)).all()

    def test_white_stays_white_and_black_black(self) -> None:
        ends = np.repeat(np.array([0, 255], np.uint8), 10).reshape(20, 1, 1, 1) * np.ones((1, 32, 40, 1), np.uint8)
        np.testing.assert_array_equal(applied(ends, draw_transforms(FRAMING, IMAGES, 0, 0, 20)), ends)

    def test_a_scan_is_the_same_in_any_batch(self, scans: NDArray[np.uint8]) -> None:
        rows = draw_transforms(ALL_OF_IT, IMAGES, 0, 0, 18)
        together = applied(scans, rows, ALL_OF_IT)
        alone = np.concatenate([applied(scans[[place]], rows[[place]], ALL_OF_IT) for place in range(18)])
        assert_same(alone, together)

    @pytest.mark.parametrize("threads", [1, 4])
    def test_a_scan_is_the_same_inside_tf_data_on_any_number_of_threads(
        self, scans: NDArray[np.uint8], threads: int
    ) -> None:
        rows = draw_transforms(ALL_OF_IT, IMAGES, 0, 0, 18)
        dataset = tf.data.Dataset.from_tensor_slices((scans, rows)).batch(4)
        dataset = dataset.map(changes(ALL_OF_IT), num_parallel_calls=threads)
        batches = list(dataset.as_numpy_iterator())
        assert {batch.dtype for batch in batches} == {np.dtype(np.uint8)}
        assert_same(np.concatenate(batches), applied(scans, rows, ALL_OF_IT))
