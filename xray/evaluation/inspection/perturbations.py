"""Changes of a scan that should not change what it is called, and changes that take the lungs away.

Each takes and gives uint8 (n, height, width), 0 to 255, and treats every scan by itself: what becomes of a scan does
not depend on which scans stand beside it.
"""

import io
import zlib
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

Perturbation = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""From uint8 (n, height, width) to uint8 (n, height, width), 0 to 255."""

BORDER = 0.08
"""Share of width and height that is border at each side, so that the centre is 71 % of the picture. In the public TRAIN
scans the lungs, averaged, reach from 10 to 88 % of the width and from 20 to 82 % of the height, and single scans come
nearer to the edge. Side markers, the film's edge, arms and the neck are left; in a few scans so is a sliver of lung."""


def rotated(pixels: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Rotate scans about their centre, counter-clockwise; the border is filled with the mirrored scan."""
    turned: NDArray[np.uint8] = ndimage.rotate(
        pixels, degrees, axes=(2, 1), reshape=False, order=1, mode="reflect", output=np.uint8
    )
    return turned


def cropped(pixels: NDArray[np.uint8], rows: float = 0.0, columns: float = 0.0) -> NDArray[np.uint8]:
    """Cut shares of the height off above and below, of the width at both sides, and stretch the rest to the size."""
    height, width = pixels.shape[1:]
    box = (columns * width, rows * height, (1 - columns) * width, (1 - rows) * height)

    def one(scan: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(scan).resize((width, height), Image.Resampling.BILINEAR, box=box))

    return _each(one, pixels)


def noisy(pixels: NDArray[np.uint8], sd: float, seed: int) -> NDArray[np.uint8]:
    """Add Gaussian noise.

    Args:
        pixels: uint8 (n, height, width), 0 to 255.
        sd: Standard deviation in gray levels.
        seed: Seed of the noise. A scan's noise follows from it and from the scan's own pixels.
    """

    def one(scan: NDArray[np.uint8]) -> NDArray[np.uint8]:
        generator = np.random.default_rng([seed, zlib.crc32(scan.tobytes())])
        noise = generator.standard_normal(scan.shape, dtype=np.float32)
        return np.clip(np.rint(scan + np.float32(sd) * noise), 0, 255).astype(np.uint8)

    return _each(one, pixels)


def with_gamma(pixels: NDArray[np.uint8], gamma: float) -> NDArray[np.uint8]:
    """Raise gray, taken from 0 to 1, to a power: below 1 brightens, above 1 darkens; black and white stay."""
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return table[pixels]


def as_jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Store scans as JPEG and read them back; `quality` is Pillow's, 1 to 95."""

    def one(scan: NDArray[np.uint8]) -> NDArray[np.uint8]:
        file = io.BytesIO()
        Image.fromarray(scan).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return _each(one, pixels)


def half_resolution(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average scans down to half their width and height, and enlarge them again."""
    height, width = pixels.shape[1:]
    small = (-(-width // 2), -(-height // 2))

    def one(scan: NDArray[np.uint8]) -> NDArray[np.uint8]:
        shrunk = Image.fromarray(scan).resize(small, Image.Resampling.BOX)
        return np.asarray(shrunk.resize((width, height), Image.Resampling.BILINEAR))

    return _each(one, pixels)


def inverted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Invert gray, as when a DICOM file's MONOCHROME1 is read as MONOCHROME2."""
    return 255 - pixels


def centre_masked(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paint the centre, and the lungs with it, in the border's mean gray."""
    return _painted(pixels, _centre(pixels.shape[1:]))


def border_masked(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paint the border in the centre's mean gray, and keep the centre."""
    return _painted(pixels, ~_centre(pixels.shape[1:]))


def blurred(pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Blur with a Gaussian, as three box filters, whose standard deviation is `share` of the width."""
    blur = ImageFilter.GaussianBlur(share * pixels.shape[2])
    return _each(lambda scan: np.asarray(Image.fromarray(scan).filter(blur)), pixels)


ROBUSTNESS: Mapping[str, Perturbation] = {
    # A patient who lies a little askew, and one who plainly does.
    "rotated_5_degrees": partial(rotated, degrees=5),
    "rotated_10_degrees": partial(rotated, degrees=10),
    # A detector of another shape, or a tighter frame. Stretched to one size, it changes the width of all that is seen.
    "cut_above_and_below": partial(cropped, rows=0.1),
    "cut_at_the_sides": partial(cropped, columns=0.1),
    # Grain that is plain to see: ten times and more that of the public scans, whose standard deviation is 0.4 to 1.0
    # (TRAIN scans of the 224 px copy, estimated after Immerkær, 1996).
    "noise": partial(noisy, sd=10, seed=0),
    # A brighter and a darker film of the same chest, about equally far off: middle gray 128 becomes 157 or 97.
    "gamma_0.7": partial(with_gamma, gamma=0.7),
    "gamma_1.4": partial(with_gamma, gamma=1.4),
    # Far below what scans are kept at (75 to 95): blocks of 8 pixels begin to show.
    "jpeg_30": partial(as_jpeg, quality=30),
    # A preview or a screenshot in place of the scan.
    "half_resolution": half_resolution,
    "inverted": inverted,
}
"""Changes that a person reads through, by the name that figures bear; a model that is robust loses little."""

SHORTCUTS: Mapping[str, Perturbation] = {
    "centre_masked": centre_masked,
    "border_masked": border_masked,
    # 5 % of the width is 15 of 300 pixels: ribs, vessels and fine opacities are gone, the chest's outline and the
    # brightness of each lung are left.
    "blurred": partial(blurred, share=0.05),
}
"""Changes that take away what a diagnosis rests on, or all else, by the name that figures bear."""


def _each(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    changed = np.empty_like(pixels)
    for place, scan in enumerate(pixels):
        changed[place] = change(scan)
    return changed


def _centre(size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark the centre: bool (height, width)."""
    inside = np.zeros(size, dtype=bool)
    top, left = (max(1, round(BORDER * side)) for side in size)
    inside[top:-top, left:-left] = True
    return inside


def _painted(pixels: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    # In the gray of what is left, not of the whole scan: that would still tell how bright the hidden part was.
    gray = np.rint(pixels[:, ~hidden].mean(axis=1)).astype(np.uint8)
    return np.where(hidden, gray[:, None, None], pixels)
