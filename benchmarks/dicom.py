"""How much faster do DICOM films become gray pixels? Ours: read, decoded and resized, on all cores.

Rival: a loop over pydicom with GDCM, one process: pixels, modality LUT, VOI LUT or window, 8 bits, resize.
Run `python benchmarks/dicom.py`.
"""

import statistics
import time
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import side_by_side
from PIL import Image
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from side_by_side import Options, Row, alternate, answer, timed

from xray.config import Images
from xray.data.decoding.image_decoder import normalize
from xray.data.decoding.parallel_decode import normalize_all
from xray.data.phantoms.write_phantoms import write_phantoms
from xray.files.digest import file_sha256

LARGE = (1800, 1400)
IMAGES = Images()
PACKED = {"JPEG lossless": "1.2.840.10008.1.2.4.70", "JPEG 2000": "1.2.840.10008.1.2.4.90"}


def main() -> None:
    """Measure and print."""
    side_by_side.run(measure, side_by_side.parser(__doc__).parse_args())


def measure(options: Options) -> list[Row]:
    """Time both sides on films as they are packed."""
    plain = options.work / "films"
    size = (128, 96) if options.size == "tiny" else LARGE
    write_phantoms(plain, scans=options.pick(40, 40, 200), size=size, layout="dicom")
    rows = [_question("not compressed", plain, options, "2 x")]
    for name, syntax in PACKED.items():
        folder = options.work / name.replace(" ", "-")
        for path in _films(plain):
            _pack(plain / path, folder / path, syntax)
        rows.append(_question(name, folder, options, "1.6 x"))
    return rows


def _question(packing: str, folder: Path, options: Options, wanted: str) -> Row:
    paths = _films(folder)
    scans = [(path, file_sha256(folder / path)) for path in paths]  # both sides find the files in memory
    sides = {
        "ours": lambda: timed(lambda: list(normalize_all(folder, scans, IMAGES))),
        "rival": lambda: timed(lambda: [_rival(folder / path) for path in paths]),
    }
    found = alternate(sides, options.rounds)
    apart = [
        np.abs(normalize((folder / path).read_bytes(), IMAGES).pixels - _rival(folder / path)).mean() for path in paths
    ]
    began = time.process_time()
    list(normalize_all(folder, scans, IMAGES))
    busy = (time.process_time() - began) * 1000 / len(paths)
    remark = f"{len(paths)} films; processor {busy:.1f} ms a film, gray levels apart {statistics.fmean(apart):.2f}"
    return answer(f"DICOM films, {packing}", found["ours"], found["rival"], wanted, remark)


def _rival(path: Path) -> np.ndarray:
    header = pydicom.dcmread(path)
    if header.file_meta.TransferSyntaxUID.is_compressed:
        header.pixel_array_options(decoding_plugin="gdcm")
    shown = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header).astype(np.float64)
    gray = (shown - shown.min()) / (shown.max() - shown.min()) * 255
    gray = 255 - gray if header.PhotometricInterpretation == "MONOCHROME1" else gray
    return np.asarray(Image.fromarray(gray.astype(np.uint8)).resize((IMAGES.width, IMAGES.height)), np.float64)


def _apart(path: Path) -> float:
    return float(np.abs(normalize(path.read_bytes(), IMAGES).pixels - _rival(path)).mean())


def _films(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.dcm"))


def _pack(path: Path, target: Path, syntax: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    if not reader.Read():
        raise OSError(f"{path} must be DICOM")
    change.SetInput(reader.GetImage())
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    if not change.Change():
        raise OSError(f"{path} must be packed as {syntax}")
    writer.SetImage(change.GetOutput())
    writer.Write()


if __name__ == "__main__":
    main()
