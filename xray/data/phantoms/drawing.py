"""A frontal chest film, drawn: tissue thickness is summed up and put through a film curve.

Coordinates: x from -1 (left edge of the picture, the patient's right) to 1, y from -1 (top) to 1. A film is drawn
smaller than asked for and enlarged, which blurs it as a film is blurred; grain alone is drawn at full size, so a
large film costs little more than a small one. One picture, one file, hence its length.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Plane = NDArray[np.floating]

WORKING_SHARE = 0.65
MOST_WORKING_SIDE = 400
GRAIN = 224


@dataclass(frozen=True)
class _Body:
    """What a patient keeps from scan to scan; lengths are shares of half the picture."""

    width: float
    lung_width: float
    lung_top: float
    lung_base: float
    heart: float
    rib_spacing: float
    rib_arch: float
    fat: float


def draw_chest(
    subtype: str, patient_seed: tuple[int, ...], scan_seed: tuple[int, ...], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Draw a scan.

    Args:
        subtype: `normal`, `bacterial` (one or two dense lobes), `viral` (diffuse, both lungs) or `covid-19` (hazy,
            low and outward). Strength varies, and a few healthy lungs are hazy: not every scan can be told.
        patient_seed: Whatever stays from scan to scan follows from this.
        scan_seed: Posture, exposure, disease and noise follow from this.
        size: Width and height in pixels.

    Returns:
        uint8 (height, width), 0 to 255, dense tissue bright.
    """
    rng = np.random.default_rng((1, *scan_seed))
    body = _body(np.random.default_rng((0, *patient_seed)))
    shrink = min(WORKING_SHARE, MOST_WORKING_SIDE / max(size))
    width, height = (max(16, round(side * shrink)) for side in size)
    x, y = _posture(rng, width, height)
    side = np.abs(x)
    lungs, depth = _lungs(body, rng, x, y)
    heart = _heart(body, rng, x, y)
    lungs *= 1 - 0.9 * heart
    thickness = _trunk(body, x, y) + _bones(body, x, y) + 0.20 * heart
    thickness -= 0.92 * lungs * (0.62 + 0.38 * depth)
    thickness += _middle(rng, x, y)
    marking, opacity = _disease(subtype, rng, x, y, side)
    thickness += lungs * (marking * _vessels(rng, x, y) + opacity)
    film = _film(rng, thickness + 0.05 * _clouds(rng, x.shape, 7))
    return _finish(rng, film, size)


def _body(rng: np.random.Generator) -> _Body:
    return _Body(
        width=rng.uniform(0.78, 0.88),
        lung_width=rng.uniform(0.64, 0.74),
        lung_top=rng.uniform(-0.80, -0.70),
        lung_base=rng.uniform(0.42, 0.60),
        heart=rng.uniform(0.88, 1.12),
        rib_spacing=rng.uniform(0.155, 0.185),
        rib_arch=rng.uniform(0.26, 0.42),
        fat=rng.uniform(0.0, 1.0),
    )


def _posture(rng: np.random.Generator, width: int, height: int) -> tuple[Plane, Plane]:
    """Place the body in the picture: a little turned, shifted and nearer or farther."""
    turn, scale = rng.normal(0, 0.03), rng.uniform(0.95, 1.07)
    shift_x, shift_y = rng.normal(0, 0.03), rng.normal(0, 0.03)
    x, y = np.meshgrid(
        np.linspace(-1, 1, width, dtype=np.float32) - np.float32(shift_x),
        np.linspace(-1, 1, height, dtype=np.float32) - np.float32(shift_y),
    )
    cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
    return cosine * x + sine * y, cosine * y - sine * x


def _step(distance: Plane, softness: float) -> Plane:
    """From 0 (outside) to 1 (inside) over a border `softness` wide."""
    t = distance * np.float32(0.5 / softness)
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    return t * t * (3 - 2 * t)


def _blob(x: Plane, y: Plane, centre: tuple[float, float], radii: tuple[float, float]) -> Plane:
    u, v = (x - np.float32(centre[0])) / np.float32(radii[0]), (y - np.float32(centre[1])) / np.float32(radii[1])
    return np.exp(-(u * u + v * v))


def _ridge(distance: Plane, width: float) -> Plane:
    t = distance / np.float32(width)
    return 1 / (1 + t * t * t * t)


def _clouds(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> Plane:
    """Draw smooth noise, about -1 to 1, with `cells` bumps a side."""
    # Eight bits are fine enough, and Pillow enlarges them several times as fast as floats.
    coarse = Image.fromarray(rng.integers(0, 256, (cells + 1, cells + 1), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)
    return smooth * np.float32(2 / 255) - 1


def _trunk(body: _Body, x: Plane, y: Plane) -> Plane:
    """Soft tissue: neck, shoulders, chest wall and, below the diaphragm, the belly."""
    neck = 0.24 + 0.95 * _step(y + 0.80, 0.42)
    waist = body.width + 0.5 * _step(-0.42 - y, 0.5)
    half = np.minimum(neck, waist)
    across = np.clip(1 - (x / half) ** 2, 0, 1)
    wall = _step(half - np.abs(x), 0.05)
    arms = 0.5 * _step(np.abs(x) - body.width - 0.10 - 0.25 * np.clip(y + 0.3, 0, 2), 0.06) * _step(0.5 - y, 0.4)
    return (
        wall * (0.34 + (0.66 + 0.16 * body.fat) * (0.35 * np.sqrt(across) + 0.65 * across))
        + arms
        + 0.22 * _step(y - 0.55, 0.6) * wall
    )


def _lungs(body: _Body, rng: np.random.Generator, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    """Where the lungs are, 0 to 1, and how deep the air is there, 0 to 1."""
    base = body.lung_base + rng.normal(0, 0.04)
    side = np.abs(x)
    left = (x > 0).astype(np.float32)
    down = np.clip((y - body.lung_top) / (base + 0.25 - body.lung_top), 0, 1)
    outer = body.lung_width * np.sqrt(np.sqrt(down) * (2 - np.sqrt(down))) * (0.93 + 0.07 * down)
    root = (y - 0.05) / 0.35
    inner = 0.10 + 0.05 * down + (0.03 + 0.07 * left) / (1 + root * root)
    dome = base - 0.06 + 0.07 * left + 0.9 * np.square(side - 0.36 - 0.04 * left)
    edge = np.minimum(np.minimum(outer - side, side - inner), dome - y)
    edge[down <= 0] = -1
    return _step(edge, 0.04), np.clip(edge / 0.22, 0, 1)


def _bones(body: _Body, x: Plane, y: Plane) -> Plane:
    """Ribs behind and in front, collar bones, shoulder blades and the spine."""
    side = np.abs(x)
    cage = _step(body.lung_width + 0.03 - side, 0.05) * _step(y - body.lung_top + 0.03, 0.10) * _step(0.62 - y, 0.35)
    behind = (y - body.rib_arch * side * side * 1.4 + 0.16 * side) / body.rib_spacing
    place = np.abs(behind - np.round(behind))
    ribs = 0.20 * _ridge(place, 0.22) + 0.07 * _ridge(place - 0.20, 0.06)
    front = (y + 0.55 * side + 0.10) / (body.rib_spacing * 1.15)
    ribs += 0.09 * _ridge(np.abs(front - np.round(front)), 0.20) * _step(side - 0.26, 0.2)
    collar = y - body.lung_top - 0.10 + 0.16 * side - 0.07 * np.sin(np.float32(5.2) * side)
    bones = ribs * cage * (0.55 + 0.45 * side)
    bones += 0.32 * _ridge(collar, 0.032) * _step(side - 0.09, 0.05) * _step(0.84 - side, 0.12)
    blade = side - 0.66 - 0.20 * (y + 0.35)
    bones += 0.13 * _step(blade, 0.05) * _step(0.12 - y, 0.20) * _step(y + 0.72, 0.15) * _step(0.97 - side, 0.08)
    discs = 0.80 + 0.20 * np.cos(np.float32(2 * np.pi / 0.125) * y)
    return bones + 0.34 * _ridge(side, 0.085) * discs


def _heart(body: _Body, rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Where the heart is, 0 to 1: an egg that points down and to the patient's left."""
    size = body.heart * rng.uniform(0.96, 1.05)
    tilt = rng.uniform(0.40, 0.65)
    across, down = x - 0.11, y - (body.lung_base - 0.16)
    along = (across * math.cos(tilt) + down * math.sin(tilt)) / (0.38 * size)
    athwart = (down * math.cos(tilt) - across * math.sin(tilt)) / (0.27 * size)
    return _step(1 - along * along - athwart * athwart, 0.22)


def _middle(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Great vessels, windpipe, the roots of the lungs and air in the stomach."""
    vessels = 0.125 + 0.05 * _blob(x, y, (0.12, -0.28), (0.12, 0.10))
    middle = 0.26 * _step(vessels - np.abs(x - 0.01), 0.07) * _step(0.30 - y, 0.3)
    for centre, strength in (((-0.19, -0.03), 0.26), ((0.22, -0.08), 0.24)):
        middle += strength * _blob(x, y, centre, (0.085, 0.14))
    pipe = _ridge(x + 0.01, 0.042) * _step(-0.18 - y, 0.10)
    bubble = _blob(x, y, (0.38, 0.86), (0.17, 0.10)) * rng.uniform(0, 1)
    return middle - 0.34 * pipe - 0.40 * bubble


def _vessels(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Branching vessels from the roots of the lungs, 0 to 1, fainter outward."""
    height, width = x.shape
    canvas = Image.new("L", (width, height))
    pen = ImageDraw.Draw(canvas)
    sign = np.repeat((-1.0, 1.0), 9)
    towards = np.tile(np.linspace(-1.3, 1.45, 9), 2) + rng.normal(0, 0.16, 18)
    across, down = 0.16 + rng.uniform(0, 0.05, 18), -0.04 + 0.10 * np.sin(towards)
    strength = rng.uniform(0.55, 1.0, 18)
    for _ in range(4):
        reach = rng.uniform(0.07, 0.15, sign.size)
        ends = across + reach * np.cos(towards), down + reach * np.sin(towards)
        corners = np.stack([sign * across, down, sign * ends[0], ends[1]], axis=1)
        for line, force in zip(((corners + 1) / 2 * (width, height, width, height)).tolist(), strength, strict=True):
            pen.line(line, fill=int(250 * force), width=max(1, round(force * width / 70)))
        branch = rng.random(sign.size) < 0.55
        bend = rng.normal(0.12, 0.20, sign.size)
        sign, across, down = (np.concatenate([part, part[branch]]) for part in (sign, *ends))
        towards = np.concatenate([towards + bend, towards[branch] - rng.normal(0.45, 0.15, branch.sum())])
        strength = np.concatenate([strength * 0.72, strength[branch] * 0.5])
    soft = canvas.filter(ImageFilter.BoxBlur(width / 190))
    return np.asarray(soft, dtype=np.float32) / 255 * np.exp(-np.square(x) - np.square(y))


def _disease(subtype: str, rng: np.random.Generator, x: Plane, y: Plane, side: Plane) -> tuple[float, Plane]:
    """How strong the vessels show, and the opacity to add within the lungs."""
    haze = 0.05 + 0.10 * rng.beta(1, 4) * (1 + _clouds(rng, x.shape, 4))
    if subtype == "normal":
        return rng.uniform(0.22, 0.40), haze
    strength = rng.beta(2.2, 1.8)
    if subtype == "bacterial":
        return rng.uniform(0.25, 0.45), haze + _lobes(rng, x, y, strength)
    if subtype == "covid-19":
        ground_glass = np.clip(0.4 + _clouds(rng, x.shape, 9), 0, 1.2) * _step(side - 0.30, 0.3) * _step(y + 0.2, 0.6)
        return 0.35, haze + (0.25 + 0.45 * strength) * ground_glass
    root = np.exp(-np.square((side - 0.28) / 0.30) - np.square(y / 0.55))
    mottled = 0.55 + 0.30 * _clouds(rng, x.shape, 22) + 0.35 * _clouds(rng, x.shape, 8)
    return 0.35 + 0.50 * strength, haze + (0.06 + 0.55 * strength) * mottled * (0.35 + 0.8 * root)


def _lobes(rng: np.random.Generator, x: Plane, y: Plane, strength: float) -> Plane:
    """One or two consolidations with a ragged border and a little air left in them."""
    opacity = np.zeros_like(x)
    for _ in range(1 + (rng.random() < 0.3)):
        centre = (rng.choice((-1, 1)) * rng.uniform(0.25, 0.52), rng.uniform(-0.45, 0.40))
        radii = (rng.uniform(0.16, 0.32), rng.uniform(0.16, 0.30))
        ragged = _blob(x, y, centre, radii) + 0.16 * _clouds(rng, x.shape, 12)
        opacity += _step(ragged - 0.42, 0.50) * (1 + 0.15 * _clouds(rng, x.shape, 26))
    return np.float32(0.12 + 0.75 * strength) * opacity


@functools.cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _film(rng: np.random.Generator, thickness: Plane) -> Plane:
    """Turn thickness into gray, 0 to 255: the curve saturates, as film and detector do."""
    exposure, base = rng.uniform(0.80, 1.02), rng.uniform(4, 22)
    thickness = np.clip(thickness, 0, None)
    gray = 1 - np.exp(-exposure * thickness * np.sqrt(thickness))
    return np.float32(base) + np.float32(rng.uniform(225, 262)) * gray


def _finish(rng: np.random.Generator, film: Plane, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Enlarge, add grain and a side marker, and close the collimator a little on some."""
    width, height = size
    picture = Image.fromarray(np.clip(film, 0, 255).astype(np.uint8))
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    if rng.random() < 0.6:
        left, top = width * rng.uniform(0.03, 0.07), height * rng.uniform(0.05, 0.20)
        ImageDraw.Draw(picture).text((left, top), "R", fill=235, font=_font(max(8, height // 18)))
    # Grain repeats in tiles: drawing a normal number a pixel of a large film would cost more than all the rest.
    tile = rng.standard_normal((GRAIN, GRAIN), dtype=np.float32) * np.float32(rng.uniform(1.5, 4.5))
    grain = np.tile(tile, (-(-height // GRAIN), -(-width // GRAIN)))[:height, :width]
    gray = np.asarray(picture, dtype=np.float32) + grain
    if rng.random() < 0.3:
        border = rng.integers(1, 5, 2) * np.array(size) // 100
        keep = np.zeros_like(gray)
        keep[border[1] : height - border[1], border[0] : width - border[0]] = 1
        gray *= keep
    return np.clip(gray, 0, 255).astype(np.uint8)
