"""DICOM films: pydicom's own functions say what comes out, and what is no frontal film is named."""

import subprocess
import sys
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import UID

from tests.xray.data.decoding.dicom_files import film, frame_of, lut, packed, refilled
from xray.config import Images
from xray.data.decoding.dicom_decoder import decode_dicom
from xray.data.decoding.image_decoder import decode, normalize
from xray.errors import ImageError

SIDE = 64
RAMP = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)

SYNTAXES = {
    "implicit little endian": "1.2.840.10008.1.2",
    "explicit little endian": "1.2.840.10008.1.2.1",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG lossless": "1.2.840.10008.1.2.4.57",
    "JPEG lossless SV1": "1.2.840.10008.1.2.4.70",
    "JPEG-LS lossless": "1.2.840.10008.1.2.4.80",
    "JPEG 2000 lossless": "1.2.840.10008.1.2.4.90",
}

JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"


def stored(bits: int, signed: bool = False, low: float = 0.1, high: float = 0.9) -> NDArray[Any]:
    """Make a ramp over a part of the values that so many bits have."""
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = least + (low + (high - low) * RAMP) * (most - least)
    return np.rint(values).astype(np.int16 if signed else np.uint16 if bits > 8 else np.uint8)


def by_pydicom(data: bytes) -> NDArray[np.float64]:
    """Give what pydicom's functions make of the pixels, 0 to 1 of the window."""
    header = pydicom.dcmread(BytesIO(data))
    meant = apply_modality_lut(header.pixel_array, header)
    low, high = apply_windowing(np.array([-1e9, 1e9]), header)
    shown = (apply_windowing(meant, header) - low) / (high - low)
    return 1 - shown if header.PhotometricInterpretation == "MONOCHROME1" else shown


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2.5, "RescaleIntercept": -300}])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_window_is_applied_as_pydicom_does(
    bits: int, signed: bool, rescale: dict[str, Any], function: str, photometric: str
) -> None:
    pixels = stored(bits, signed)
    slope, intercept = rescale.get("RescaleSlope", 1.0), rescale.get("RescaleIntercept", 0.0)
    center = float(np.median(pixels)) * slope + intercept
    data = film(
        pixels, bits, WindowCenter=center, WindowWidth=2**bits * 0.4 * slope, VOILUTFunction=function,
        PhotometricInterpretation=photometric, **rescale,
    )  # fmt: skip
    found, scaling = decode_dicom(data)
    assert scaling == "window"
    assert np.abs(found - 255 * by_pydicom(data)).max() <= 0.51


def test_the_first_of_several_windows_counts() -> None:
    one = film(stored(12), 12, WindowCenter=2000, WindowWidth=800)
    several = film(stored(12), 12, WindowCenter=[2000, 100], WindowWidth=[800, 50])
    np.testing.assert_array_equal(decode_dicom(one)[0], decode_dicom(several)[0])


def test_a_voi_lut_wins_over_a_window() -> None:
    table = np.linspace(65535, 0, 4096).astype(np.uint16)
    data = film(stored(12), 12, VOILUTSequence=[lut(0, table)], WindowCenter=2000, WindowWidth=800)
    header = pydicom.dcmread(BytesIO(data))
    expected = apply_voi(header.pixel_array, header) / 65535 * 255
    found, scaling = decode_dicom(data)
    assert scaling == "VOI LUT"
    assert np.abs(found - expected).max() <= 0.51


def test_a_modality_lut_comes_before_the_window() -> None:
    table = (np.linspace(0, 1, 4096) ** 2 * 65535).astype(np.uint16)
    data = film(stored(12), 12, ModalityLUTSequence=[lut(0, table)], WindowCenter=20000, WindowWidth=30000)
    assert np.abs(decode_dicom(data)[0] - 255 * by_pydicom(data)).max() <= 0.51


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (12, True), (16, False)])
def test_every_lossless_packing_gives_the_same_pixels(name: str, bits: int, signed: bool) -> None:
    pixels = stored(bits, signed)
    plain, _ = decode_dicom(film(pixels, bits))
    np.testing.assert_array_equal(decode_dicom(film(pixels, bits, SYNTAXES[name]))[0], plain)


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
def test_few_bits_in_a_wide_container_are_read(name: str, signed: bool) -> None:
    pixels = stored(8, signed).astype(np.int16 if signed else np.uint16)
    plain, _ = decode_dicom(film(pixels, 8))
    np.testing.assert_array_equal(decode_dicom(film(pixels, 8, SYNTAXES[name]))[0], plain)


def test_threads_that_come_first_at_once_reject_nothing() -> None:
    # In a process of its own, whose pydicom has no plugin of ours yet.
    code = (
        "import sys; from concurrent.futures import ThreadPoolExecutor; from threading import Barrier\n"
        "from xray.data.decoding.dicom_decoder import decode_dicom\n"
        "data, start = sys.stdin.buffer.read(), Barrier(8)\n"
        "def one(_): start.wait(); return decode_dicom(data)[0].mean()\n"
        "with ThreadPoolExecutor(8) as threads: print(len(set(threads.map(one, range(8)))))"
    )
    data = film(stored(12), 12, SYNTAXES["JPEG lossless"])
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.strip() == b"1"


@pytest.mark.parametrize("padding", [b"\0", b"\xff\xff", b"    "])
def test_a_jpeg_may_be_padded_after_its_end(padding: bytes) -> None:
    whole = film(stored(12), 12, SYNTAXES["JPEG lossless"])
    padded = refilled(whole, SYNTAXES["JPEG lossless"], frame_of(whole).rstrip(b"\0") + padding)
    np.testing.assert_array_equal(decode_dicom(padded)[0], decode_dicom(whole)[0])


def test_a_jpeg_2000_in_its_boxes_is_read() -> None:
    pixels = stored(12)
    whole = film(pixels, 12, SYNTAXES["JPEG 2000 lossless"])
    boxed = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", bitspersample=12))
    assert boxed[4:8] == b"jP  "
    found, _ = decode_dicom(refilled(whole, SYNTAXES["JPEG 2000 lossless"], boxed))
    np.testing.assert_array_equal(found, decode_dicom(whole)[0])


def test_lossy_jpeg_comes_close() -> None:
    found, _ = decode_dicom(film(stored(8), 8, JPEG_BASELINE))
    assert np.abs(found.astype(int) - stored(8)).mean() < 3


def test_12_bit_lossy_jpeg_comes_close() -> None:
    pixels = stored(12)
    frame = bytes(imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12))
    found, _ = decode_dicom(refilled(film(pixels, 12), JPEG_EXTENDED, frame))
    assert np.abs(found.astype(int) - decode_dicom(film(pixels, 12))[0]).mean() < 3


def test_a_packing_that_nothing_here_reads_is_named() -> None:
    with pytest.raises(ImageError, match=r"Received: JPEG Extended .*, 12 bits"):
        decode(film(stored(12), 12, JPEG_EXTENDED))  # GDCM writes 16 bits there, which the standard has not


@pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS lossless", "JPEG 2000 lossless", "RLE"])
def test_a_packed_film_that_ends_early_is_refused(name: str) -> None:
    whole = film(stored(12), 12, SYNTAXES[name])
    frame = frame_of(whole)
    with pytest.raises(ImageError, match="pixels must be whole"):
        decode_dicom(refilled(whole, SYNTAXES[name], frame[: len(frame) // 2]))


@pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS lossless", "JPEG 2000 lossless"])
def test_a_frame_of_another_size_than_its_file_says_takes_no_memory(name: str) -> None:
    whole = film(stored(12), 12, SYNTAXES[name])
    header = pydicom.dcmread(BytesIO(whole))
    header.Rows //= 2
    with pytest.raises(ImageError, match="pixels must be whole"):
        decode_dicom(packed(header))


def test_a_jpeg_2000_that_claims_any_size_takes_no_memory() -> None:
    whole = film(stored(12), 12, SYNTAXES["JPEG 2000 lossless"])
    frame = bytearray(frame_of(whole))
    frame[8:16] = (2**31 - 1).to_bytes(4, "big") * 2
    with pytest.raises(ImageError, match="pixels must be whole"):
        decode_dicom(refilled(whole, SYNTAXES["JPEG 2000 lossless"], bytes(frame)))


def test_8_bit_values_without_a_window_are_taken_as_they_are() -> None:
    pixels = stored(8)
    found, scaling = decode_dicom(film(pixels, 8))
    assert scaling == "none"
    np.testing.assert_array_equal(found, pixels)


def test_an_8_bit_scan_scores_as_the_same_scan_saved_as_png() -> None:
    pixels, file = stored(8), BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    images = Images(height=48, width=40)
    as_dicom, as_png = normalize(film(pixels, 8), images), normalize(file.getvalue(), images)
    np.testing.assert_array_equal(as_dicom.pixels, as_png.pixels)
    assert as_dicom.pixels_sha256 == as_png.pixels_sha256


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_deeper_values_without_a_window_get_a_robust_range(bits: int) -> None:
    clean = stored(bits, low=0.1, high=0.5)
    spoilt = clean.copy()
    spoilt[0, :3] = 2**bits - 1
    found, scaling = decode_dicom(film(spoilt, bits))
    assert scaling.startswith("own range ")
    assert found.max() == 255
    assert np.abs(found[1:].astype(int) - decode_dicom(film(clean, bits))[0][1:]).max() <= 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_part_of_the_range(photometric: str) -> None:
    pixels = stored(12, low=0.3, high=0.6)
    padded = pixels.copy()
    padded[:, :9] = 4095
    data = film(padded, 12, PixelPaddingValue=4095, PhotometricInterpretation=photometric)
    found, _ = decode_dicom(data)
    assert (found[:, :9] == 0).all()
    whole, _ = decode_dicom(film(pixels, 12, PhotometricInterpretation=photometric))
    assert np.abs(found[:, 9:].astype(int) - whole[:, 9:]).max() <= 2


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_air_is_dark_whichever_way_the_file_keeps_it(photometric: str, shape: str | None, inverted: bool) -> None:
    shown = {} if shape is None else {"PresentationLUTShape": shape}
    found, _ = decode_dicom(film(stored(8), 8, PhotometricInterpretation=photometric, **shown))
    np.testing.assert_array_equal(found, 255 - stored(8) if inverted else stored(8))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "Received: CT Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, "Received: Grayscale Softcopy Presentation State Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "Received: Encapsulated PDF Storage"),
        ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "Received: Media Storage Directory Storage"),
        ({"NumberOfFrames": 3}, "one frame. Received: 3"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "must be gray. Received: PALETTE COLOR"),
        ({"ViewPosition": "LL"}, "must be frontal. Received: ViewPosition LL"),
        ({"Rows": 20000, "Columns": 20000}, "at most 64,000,000 pixels"),
    ],
)
def test_what_is_no_frontal_film_is_refused_by_what_it_is(tags: dict[str, Any], words: str) -> None:
    with pytest.raises(ImageError, match=words) as caught:
        decode(film(stored(12), 12, **tags))
    assert caught.value.reason in ("unsupported", "too-large")


def test_a_file_without_pixels_is_refused() -> None:
    header = pydicom.dcmread(BytesIO(film(stored(12), 12)))
    del header.PixelData
    file = BytesIO()
    header.save_as(file)
    with pytest.raises(ImageError, match="must have pixels"):
        decode(file.getvalue())


@pytest.mark.parametrize("cut", [140, 300, 1200, 5000])
def test_a_file_that_ends_early_is_unreadable(cut: int) -> None:
    with pytest.raises(ImageError) as caught:
        decode(film(stored(12), 12)[:cut])
    assert "\n" not in str(caught.value)


def test_a_film_at_any_size_of_values_reads_to_the_end() -> None:
    assert UID(SYNTAXES["RLE"]).is_compressed
    assert decode(film(stored(16), 16)).scaling.startswith("own range")


def test_a_deflated_file_which_may_inflate_to_any_size_is_refused() -> None:
    header = pydicom.dcmread(BytesIO(film(stored(12), 12)))
    header.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1.99")
    file = BytesIO()
    header.save_as(file)
    with pytest.raises(ImageError, match="must not be deflated as a whole"):
        decode(file.getvalue())
