"""Every scan becomes 8-bit gray, upright, at the stored size; what is no scan is refused with a reason."""

import io
import resource
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from xray.config import Images
from xray.data.decoding.image_decoder import REASONS, decode, normalize, normalizer_digest
from xray.data.decoding.resize import fit
from xray.data.decoding.scan_size import MAX_PIXELS, MIN_SIDE
from xray.data.phantoms.drawing import draw_chest
from xray.errors import ImageError

RAMP = np.arange(32 * 48, dtype=np.uint32).reshape(32, 48)
GRAY = (RAMP % 256).astype(np.uint8)


def saved(picture: Image.Image | NDArray[Any], kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **how)
    return file.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(samples: NDArray[Any], bits: int, colour: int, extra: bytes = b"") -> bytes:
    """Write what Pillow does not: samples of 16 bits in colour, and an sBIT chunk."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2" if bits == 16 else np.uint8).tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(strip: bytes, size: tuple[int, int], bits: int, photometric: int = 1, top: int | None = None) -> bytes:
    """Write one uncompressed gray strip with the tags under test."""
    tags = {256: size[0], 257: size[1], 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: size[1]}
    tags[279] = len(strip)
    if top is not None:
        tags[281] = top
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + struct.pack("<H", len(tags)) + directory + bytes(4)


VALID = {
    "jpeg": saved(GRAY, "JPEG"),
    "progressive jpeg": saved(np.dstack([GRAY] * 3), "JPEG", progressive=True),
    "png": saved(GRAY, "PNG"),
    "16-bit png": saved((RAMP * 40).astype(np.uint16), "PNG"),
    "tiff": saved(GRAY, "TIFF"),
    "deflated tiff": saved(GRAY, "TIFF", compression="tiff_deflate"),
}


class TestEightBitScans:
    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_gray_samples_are_kept(self, kind: str) -> None:
        scan = decode(saved(GRAY, kind))
        np.testing.assert_array_equal(scan.pixels, GRAY)
        assert (scan.width, scan.height, scan.scaling) == (48, 32, "none")

    def test_a_jpeg_gives_its_luminance(self) -> None:
        picture = Image.fromarray(np.dstack([GRAY, GRAY, GRAY]))
        data = saved(picture, "JPEG", quality=95)
        np.testing.assert_array_equal(decode(data).pixels, np.asarray(Image.open(io.BytesIO(data)).convert("L")))

    def test_colour_is_weighed_as_the_eye_does(self) -> None:
        red_green_blue = np.zeros((32, 96, 3), np.uint8)
        for channel in range(3):
            red_green_blue[:, 32 * channel : 32 * (channel + 1), channel] = 255
        assert decode(saved(red_green_blue, "PNG")).pixels[0, ::32].tolist() == [76, 150, 29]  # 0.299, 0.587, 0.114

    def test_a_palette_is_looked_up(self) -> None:
        picture = Image.new("P", (32, 32), 1)
        picture.putpalette([0, 0, 0, 200, 200, 200])
        assert (decode(saved(picture, "PNG")).pixels == 200).all()

    def test_one_bit_is_black_or_white(self) -> None:
        picture = Image.new("1", (32, 32))
        picture.putpixel((3, 5), 1)
        pixels = decode(saved(picture, "PNG")).pixels
        assert pixels[5, 3] == 255
        assert pixels.sum() == 255

    @pytest.mark.parametrize(("mode", "sample"), [("LA", (255, 128)), ("RGBA", (255, 255, 255, 128))])
    def test_transparency_lies_over_black(self, mode: str, sample: tuple[int, ...]) -> None:
        assert (decode(saved(Image.new(mode, (32, 32), sample), "PNG")).pixels == 128).all()

    def test_a_transparent_palette_entry_is_black(self) -> None:
        picture = Image.new("P", (32, 32), 1)
        picture.putpalette([0, 0, 0, 200, 200, 200])
        assert (decode(saved(picture, "PNG", transparency=1)).pixels == 0).all()

    @pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
    @pytest.mark.parametrize(("ink", "gray"), [((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0), ((0, 0, 0, 100), 155)])
    def test_cmyk_is_ink_on_white(self, kind: str, ink: tuple[int, ...], gray: int) -> None:
        pixels = decode(saved(Image.new("CMYK", (32, 32), ink), kind)).pixels
        assert abs(pixels.astype(int) - gray).max() <= 1


class TestDeepScans:
    def test_a_png_that_declares_nothing_is_stretched_over_its_own_range(self) -> None:
        samples = np.full((32, 32), 1000, np.uint16)
        samples[0], samples[1], samples[2] = 500, 1500, 750
        scan = decode(saved(samples, "PNG"))
        assert scan.pixels[:4, 0].tolist() == [0, 255, 64, 128]  # 63.75 and 127.5, to the nearest even
        assert scan.scaling == "own range 500-1500"

    def test_a_png_may_declare_12_bits_and_hold_them_as_they_are(self) -> None:
        samples = np.full((32, 32), 2048, np.uint16)
        scan = decode(png(samples, 16, 0, png_chunk(b"sBIT", b"\x0c")))
        assert (scan.pixels == 128).all()  # 2048 / 4095 * 255 = 127.53
        assert scan.scaling == "declared 0-4095"

    def test_a_png_may_declare_12_bits_and_spread_them_over_16(self) -> None:
        samples = np.full((32, 32), 2048 << 4, np.uint16)
        scan = decode(png(samples, 16, 0, png_chunk(b"sBIT", b"\x0c")))
        assert (scan.pixels == 128).all()
        assert scan.scaling == "declared 0-65535"

    def test_of_16_bit_colour_the_high_byte_counts(self) -> None:
        scan = decode(png(np.full((32, 32, 3), 0x80FF, np.uint16), 16, 2))
        assert (scan.pixels == 0x80).all()
        assert scan.scaling == "high byte"

    def test_a_tiff_may_declare_its_brightest_sample(self) -> None:
        strip = np.full((32, 32), 2048, "<u2").tobytes()
        scan = decode(tiff(strip, (32, 32), 16, top=4095))
        assert (scan.pixels == 128).all()
        assert scan.scaling == "declared 0-4095"

    def test_a_tiff_of_12_bits_declares_them(self) -> None:
        scan = decode(tiff(bytes([0x80, 0x08, 0x00]) * (32 * 16), (32, 32), 12))  # two samples of 0x800
        assert (scan.pixels == 128).all()
        assert scan.scaling == "declared 0-4095"

    def test_16_bits_of_a_tiff_declare_nothing(self) -> None:
        samples = np.full((32, 32), 4095, "<u2")
        samples[0, 0] = 0
        scan = decode(tiff(samples.tobytes(), (32, 32), 16))
        assert (scan.pixels[0, 0], scan.pixels[0, 1]) == (0, 255)
        assert scan.scaling == "own range 0-4095"

    def test_a_declaration_that_the_samples_pass_is_not_believed(self) -> None:
        samples = np.full((32, 32), 5000, "<u2")
        samples[0, 0] = 0
        assert decode(tiff(samples.tobytes(), (32, 32), 16, top=4095)).scaling == "own range 0-5000"

    @pytest.mark.parametrize("bits", [8, 16])
    def test_white_may_be_zero(self, bits: int) -> None:
        samples = np.full((32, 32), 2**bits - 1, f"<u{bits // 8}")
        samples[0, 0] = 0
        scan = decode(tiff(samples.tobytes(), (32, 32), bits, photometric=0))
        assert (scan.pixels[0, 0], scan.pixels[0, 1]) == (255, 0)

    @pytest.mark.parametrize("order", ["<u2", ">u2"])
    def test_either_byte_order_is_read(self, order: str) -> None:
        samples = (RAMP * 40).astype(order)
        assert decode(saved(Image.fromarray(samples), "TIFF")).scaling == "own range 40-61360"

    def test_floats_are_stretched_and_no_number_is_black(self) -> None:
        samples = np.full((32, 32), 0.5, np.float32)
        samples[0, :4] = -1.0, 1.0, np.nan, np.inf
        assert decode(saved(samples, "TIFF")).pixels[0].tolist()[:5] == [0, 255, 0, 255, 191]

    def test_a_scan_of_one_sample_is_black(self) -> None:
        assert (decode(saved(np.full((32, 32), 777, np.uint16), "PNG")).pixels == 0).all()


CASES = Path(__file__).parents[5] / "shared" / "cases"


class TestOneScanInEveryContainer:
    """12 bits kept in 16: a hot pixel, padding and several channels change nothing that is scored, or are refused."""

    def case(self, name: str) -> bytes:
        path = CASES / name
        if not path.is_file():
            pytest.skip(f"the small cases are not there: {CASES}")
        return path.read_bytes()

    @pytest.mark.parametrize("name", ["g16_12bit_hotpixel.png", "g16_12bit_padding65535.png"])
    def test_an_end_value_far_from_all_others_is_no_part_of_the_range(self, name: str) -> None:
        whole, spoilt = decode(self.case("g16_12bit.png")), decode(self.case(name))
        middle = np.s_[:, whole.width // 4 : -whole.width // 4]
        assert np.abs(whole.pixels[middle].astype(int) - spoilt.pixels[middle]).max() <= 2
        assert spoilt.scaling.startswith("own range")

    def test_a_marker_with_an_edge_is_no_part_of_the_range(self) -> None:
        samples = (RAMP * 2 + 100).astype(np.uint16)
        clean = decode(saved(samples, "PNG"))
        marked = samples.copy()
        marked[:1, :6], marked[:1, 6:8] = 65535, 64000
        assert np.abs(decode(saved(marked, "PNG")).pixels[1:].astype(int) - clean.pixels[1:]).max() <= 3

    def test_padding_is_black(self) -> None:
        samples = (RAMP * 2 + 100).astype(np.uint16)
        samples[:, :5] = 65535
        assert (decode(saved(samples, "PNG")).pixels[:, :5] == 0).all()

    def test_12_bits_in_several_channels_of_16_are_refused_and_not_shown_black(self) -> None:
        with pytest.raises(ImageError, match="unsupported: a 16-bit scan of several channels must use its whole range"):
            decode(self.case("rgb16_12bit.png"))

    @pytest.mark.parametrize("name", ["black.png"])
    def test_a_picture_that_shows_nothing_is_blank(self, name: str) -> None:
        with pytest.raises(ImageError, match="blank: a scan must have at least 8 levels of gray"):
            normalize(self.case(name), Images())

    @pytest.mark.parametrize("picture", [Image.new("L", (64, 64), 255), Image.new("RGBA", (64, 64), (9, 99, 200, 0))])
    def test_white_and_transparent_pictures_are_blank(self, picture: Image.Image) -> None:
        with pytest.raises(ImageError, match="blank"):
            normalize(saved(picture, "PNG"), Images())


class TestDamage:
    """What a decoder would pass over in silence is told."""

    CHEST = saved(draw_chest("viral", (0, 1), (0, 1), (224, 224)), "JPEG", quality=90)

    def test_bytes_that_a_jpeg_has_lost_are_noticed(self) -> None:
        for start in range(800, len(self.CHEST) - 700, 300):
            with pytest.raises(ImageError, match="unreadable: a scan must be undamaged"):
                decode(self.CHEST[:start] + self.CHEST[start + 512 :])

    def test_a_jpeg_that_ends_early_but_says_so_is_damaged(self) -> None:
        with pytest.raises(ImageError, match="undamaged. Received: Corrupt JPEG data"):
            decode(self.CHEST[: len(self.CHEST) // 2] + b"\xff\xd9")

    def test_a_wrong_check_sum_of_a_png_is_noticed(self) -> None:
        data = bytearray(saved(GRAY, "PNG"))
        data[data.index(b"IDAT") + 20] ^= 1
        with pytest.raises(ImageError, match="undamaged. Received: a wrong CRC in IDAT"):
            decode(bytes(data))

    @pytest.mark.parametrize("length", [0, 1])
    def test_a_strip_of_a_tiff_without_data_is_noticed(self, length: int) -> None:
        data = tiff(GRAY.tobytes(), (48, 32), 8)
        entry = struct.pack("<HHI", 279, 4, 1)
        place = data.index(entry) + len(entry)
        start = struct.pack("<HHI", 273, 4, 1)
        broken = data[:place] + struct.pack("<I", 0) + data[place + 4 :]
        if length:
            place = data.index(start) + len(start)
            broken = data[:place] + struct.pack("<I", len(data) + 9) + data[place + 4 :]
        with pytest.raises(ImageError, match="unreadable: a scan must be undamaged. Received: no data for piece 1"):
            decode(broken)

    def test_unsigned_32_bit_samples_of_a_tiff_are_no_negative_ones(self) -> None:
        samples = np.linspace(2**31 - 1000, 2**31 + 1000, 32 * 48).reshape(32, 48).astype("<u4")
        pixels = decode(tiff(samples.tobytes(), (48, 32), 32)).pixels
        assert (np.diff(pixels.ravel().astype(int)) >= 0).all()


class TestOrientation:
    # Where the stored first row and column lie in the upright picture: EXIF 2.32, table for tag 0x0112.
    STORED = {
        1: "ab/cd",
        2: "ba/dc",
        3: "dc/ba",
        4: "cd/ab",
        5: "ac/bd",
        6: "bd/ac",
        7: "db/ca",
        8: "ca/db",
    }
    GRAY_OF = dict(zip("abcd", (10, 80, 150, 220), strict=True))

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
    @pytest.mark.parametrize("orientation", STORED)
    def test_a_scan_is_turned_upright(self, kind: str, orientation: int) -> None:
        height, width = (32, 48) if orientation < 5 else (48, 32)
        corners = [[self.GRAY_OF[name] for name in row] for row in self.STORED[orientation].split("/")]
        stored = np.kron(np.array(corners, np.uint8), np.ones((height // 2, width // 2), np.uint8))
        exif = Image.Exif()
        exif[0x0112] = orientation
        scan = decode(saved(stored, kind, exif=exif))
        assert (scan.width, scan.height) == (48, 32)
        upright = scan.pixels[8::16, 12::24].astype(int)
        assert abs(upright - [[10, 80], [150, 220]]).max() <= 2

    def test_broken_notes_cost_no_scan_and_warn_nobody(self) -> None:
        data = saved(GRAY, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\xff\xff")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode(data).pixels.shape == (32, 48)


class TestFit:
    def test_stretch_fills_the_size(self) -> None:
        pixels = fit(np.full((32, 64), 200, np.uint8), (64, 32), Images(height=40, width=50))
        assert pixels.shape == (40, 50)
        assert (pixels == 200).all()

    @pytest.mark.parametrize(
        ("shape", "rows", "columns"), [((32, 64), (16, 48), (0, 64)), ((64, 32), (0, 64), (16, 48))]
    )
    def test_pad_centres_on_black(
        self, shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
    ) -> None:
        expected = np.zeros((64, 64), np.uint8)
        expected[rows[0] : rows[1], columns[0] : columns[1]] = 200
        images = Images(height=64, width=64, fit="pad")
        np.testing.assert_array_equal(fit(np.full(shape, 200, np.uint8), shape[::-1], images), expected)

    def test_shrinking_averages(self) -> None:
        chequers = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
        pixels = normalize(saved(chequers, "PNG"), Images(height=32, width=32)).pixels
        assert abs(pixels.astype(int) - 127.5).max() <= 1  # picking pixels would give 0 and 255

    def test_a_scan_of_the_stored_size_is_kept(self) -> None:
        np.testing.assert_array_equal(normalize(saved(GRAY, "PNG"), Images(height=32, width=48)).pixels, GRAY)


def chest(size: tuple[int, int], kind: str = "JPEG", **how: Any) -> bytes:
    return saved(draw_chest("bacterial", (0, 1), (0, 1), size), kind, **{"quality": 90, **how})


def difference(data: bytes, images: Images) -> float:
    """Mean absolute difference of a pixel, in gray levels, from the full decode with antialiasing."""
    whole = fit(decode(data).pixels, (decode(data).width, decode(data).height), images)
    return float(abs(normalize(data, images).pixels.astype(float) - whole).mean())


class TestReducedDecoding:
    # (width, height) in the file, (width, height) stored, the scale that leaves one and a half times the stored size
    @pytest.mark.parametrize(
        ("taken", "stored", "scale"),
        [
            ((191, 500), (64, 64), 1),
            ((192, 500), (64, 64), 2),
            ((193, 201), (64, 64), 2),
            ((500, 383), (64, 64), 2),
            ((385, 501), (64, 64), 4),
            ((770, 769), (64, 64), 8),
            ((2060, 2049), (64, 64), 8),
            ((390, 390), (65, 33), 2),
            ((392, 392), (65, 33), 4),
        ],
    )
    def test_a_jpeg_keeps_at_least_one_and_a_half_times_the_stored_size(
        self, taken: tuple[int, int], stored: tuple[int, int], scale: int
    ) -> None:
        scan = decode(chest(taken), Images(width=stored[0], height=stored[1]))
        assert scan.pixels.shape == (-(-taken[1] // scale), -(-taken[0] // scale))
        assert (scan.width, scan.height) == taken

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_no_other_file_is_reduced(self, kind: str) -> None:
        data = saved(draw_chest("normal", (0, 1), (0, 1), (600, 500)), kind)
        np.testing.assert_array_equal(decode(data, Images(width=32, height=32)).pixels, decode(data).pixels)

    @pytest.mark.parametrize("fit", ["stretch", "pad"])
    @pytest.mark.parametrize("taken", [(1800, 1400), (1301, 1003), (1210, 2640)])
    @pytest.mark.parametrize("how", [{}, {"progressive": True}, {"quality": 60}], ids=["", "progressive", "coarse"])
    def test_pixels_keep_within_half_a_gray_level(self, taken: tuple[int, int], fit: Any, how: dict[str, Any]) -> None:
        data = chest(taken, **how)
        images = Images(fit=fit)
        assert decode(data, images).pixels.size < taken[0] * taken[1]
        assert difference(data, images) <= 0.5

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_turned_scan_is_reduced_as_it_will_stand(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = chest((512, 256), exif=exif)
        upright = (512, 256) if orientation < 5 else (256, 512)
        images = Images(width=upright[0] // 4, height=upright[1] // 4)
        scan = decode(data, images)
        assert (scan.width, scan.height) == upright
        assert scan.pixels.shape == (upright[1] // 2, upright[0] // 2)
        assert difference(data, images) <= 0.5

    def test_the_same_pixels_in_other_bytes_have_one_digest(self) -> None:
        files = [chest((600, 500), **how) for how in ({}, {"optimize": True}, {"progressive": True}, {"comment": "a"})]
        assert len(set(files)) == 4
        assert len({normalize(data, Images(width=64, height=64)).pixels_sha256 for data in files}) == 1

    def test_one_other_block_is_other_pixels(self) -> None:
        picture = draw_chest("normal", (0, 1), (0, 1), (600, 500))
        changed = picture.copy()
        changed[240:248, 240:248] = 255 - changed[240:248, 240:248]
        images = Images(width=64, height=64)
        digests = {normalize(saved(each, "JPEG", quality=90), images).pixels_sha256 for each in (picture, changed)}
        assert len(digests) == 2


class TestDigests:
    def test_whole_pixels_have_one_digest_whatever_the_file_and_the_stored_size(self) -> None:
        small, padded = Images(height=32, width=32), Images(height=100, width=64, fit="pad")
        digests = {
            normalize(saved(GRAY, kind), images).pixels_sha256 for kind in ("PNG", "TIFF") for images in (small, padded)
        }
        assert len(digests) == 1

    def test_the_shape_counts(self) -> None:
        wide, tall = (saved(np.resize(GRAY, shape), "PNG") for shape in [(32, 64), (64, 32)])
        assert normalize(wide, Images()).pixels_sha256 != normalize(tall, Images()).pixels_sha256

    def test_one_pixel_counts(self) -> None:
        other = GRAY.copy()
        other[7, 7] += 1
        assert (
            normalize(saved(GRAY, "PNG"), Images()).pixels_sha256
            != normalize(saved(other, "PNG"), Images()).pixels_sha256
        )

    def test_a_normalizer_is_named_by_its_configuration(self) -> None:
        names = [
            normalizer_digest(Images(height=height, fit=fit)) for height in (300, 299) for fit in ("stretch", "pad")
        ]
        assert len(set(names)) == 4
        assert names[0] == normalizer_digest(Images())


def one_bit_png(side: int) -> bytes:
    rows = (b"\0" + bytes(side // 8)) * side
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows, 1)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


class TestRejections:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "not-an-image"),
            (b"not a scan", "not-an-image"),
            (b"<!DOCTYPE html><html>404</html>", "not-an-image"),
            (saved(np.zeros((1, 1), np.uint8), "PNG"), "too-small"),
            (saved(np.zeros((500, MIN_SIDE - 1), np.uint8), "JPEG"), "too-small"),
            (VALID["jpeg"][:-100], "unreadable"),
            (b"\xff\xd8\xff", "unreadable"),
            (b"\x89PNG\r\n\x1a\n", "unreadable"),
            (saved(np.full((32, 32), np.nan, np.float32), "TIFF"), "unreadable"),
        ],
    )
    def test_what_is_no_scan_is_refused_with_a_reason(self, data: bytes, reason: str) -> None:
        with pytest.raises(ImageError) as caught:
            decode(data)
        assert caught.value.reason == reason
        assert "\n" not in caught.value.detail

    def test_a_bomb_is_refused_by_its_header(self) -> None:
        bomb = one_bit_png(30_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ImageError, match="30000 x 30000") as caught:
                decode(bomb)
        assert caught.value.reason == "too-large"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB; its pixels take 900 MB

    def test_the_limit_is_ours_whatever_pillow_s_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        assert decode(saved(GRAY, "PNG")).width == 48
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        with pytest.raises(ImageError, match="too-large"):
            decode(one_bit_png(8 * round(MAX_PIXELS**0.5 / 8 + 1)))

    def test_pillow_s_settings_stay_as_they_are(self) -> None:
        before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
        threads = [threading.Thread(target=decode, args=(data,)) for data in VALID.values() for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before
        assert not ImageFile.LOAD_TRUNCATED_IMAGES

    @pytest.mark.parametrize("kind", VALID)
    def test_every_cut_is_noticed(self, kind: str) -> None:
        data = VALID[kind]
        lengths = {*range(0, len(data), 7), *range(len(data) - 40, len(data))}
        for length in sorted(lengths):
            with pytest.raises(ImageError):
                decode(data[:length])


class TestAnyBytes:
    @staticmethod
    def ends_well(data: bytes) -> None:
        try:
            scan = normalize(data, Images(height=32, width=32))
        except ImageError as error:
            assert error.reason in REASONS
        else:
            assert scan.pixels.shape == (32, 32)
            assert scan.pixels.dtype == np.uint8

    @given(
        signature=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]),
        body=st.binary(max_size=300),
    )
    @settings(max_examples=200, deadline=None)
    def test_any_bytes_are_a_scan_or_refused(self, signature: bytes, body: bytes) -> None:
        self.ends_well(signature + body)

    @given(
        kind=st.sampled_from(sorted(VALID)),
        changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=6),
    )
    @settings(max_examples=300, deadline=None)
    def test_a_damaged_file_is_a_scan_or_refused(self, kind: str, changes: list[tuple[int, int]]) -> None:
        data = bytearray(VALID[kind])
        for place, value in changes:
            data[place % len(data)] = value
        self.ends_well(bytes(data))

    @given(
        # With the zeros as many values as are too few for any to be padding, which would be black.
        samples=st.integers(0, 2**16 - 1).flatmap(lambda top: st.lists(st.integers(0, top), min_size=2, max_size=15))
    )
    @settings(max_examples=50, deadline=None)
    def test_deep_samples_keep_their_order(self, samples: list[int]) -> None:
        row = np.zeros(32, np.uint16)
        row[: len(samples)] = samples
        pixels = decode(saved(np.tile(row, (32, 1)), "PNG")).pixels[0].astype(int)
        assert (np.diff(pixels[np.argsort(row, kind="stable")]) >= 0).all()


def test_the_served_model_needs_neither_pandas_nor_parquet() -> None:
    heavy = "{'pandas', 'pyarrow', 'tensorflow', 'sklearn'}"
    code = f"import sys, xray.data.decoding.image_decoder; print(*{heavy} & set(sys.modules))"
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.real_data
def test_large_real_jpegs_keep_within_half_a_gray_level_on_average(real_scans: Path) -> None:
    files = [path.read_bytes() for path in sorted((real_scans / "train").iterdir()) if path.stat().st_size > 300_000]
    reduced = [data for data in files if decode(data, Images()).pixels.size < decode(data).pixels.size]
    assert len(reduced) > 10
    apart = [difference(data, Images()) for data in reduced]
    assert np.mean(apart) <= 0.5
    assert max(apart) <= 1
