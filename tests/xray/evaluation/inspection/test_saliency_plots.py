"""Maps of evidence as pictures: which scans are shown, what stands beside them, and the overlay by hand."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from tests.xray.evaluation.plots.test_binary import words
from xray.errors import EvaluationError
from xray.evaluation.inspection.saliency_plots import explanation_grid, overlay, scan_explanation
from xray.evaluation.plots.scan_grid import choose_scans


def plots(scans: pd.DataFrame) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Made-up scans with their maps, of 12 x 10; the last map is empty."""
    generator = np.random.default_rng(0)
    maps = generator.random((len(scans), 12, 10), dtype=np.float32)
    maps[-1:] = 0
    return generator.integers(0, 256, maps.shape, dtype=np.uint8), maps


def png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=30)
    return buffer.getvalue()


class TestGrid:
    def test_each_scan_is_titled_with_what_it_is_and_what_it_was_called(self, decided: pd.DataFrame) -> None:
        chosen = choose_scans(decided, 0.6, most=4)
        text = words(explanation_grid(*plots(chosen), chosen))
        for heading in ("Right, random sample", "Wrong, most confident first", "Referred, referred to a person"):
            assert heading in text
        assert "evidence for pneumonia" in text
        assert text.count("no evidence") == 1
        for scan in chosen.itertuples():
            called = "referred" if scan.decision == "refer" else f"called {scan.decision}"
            assert f"actual {scan.label}\n{called} {scan.p_pneumonia:.2f}" in text

    def test_a_scan_lies_beside_its_own_map(self, decided: pd.DataFrame) -> None:
        chosen = choose_scans(decided, 0.6, most=2)
        pixels, maps = plots(chosen)
        axes = explanation_grid(pixels, maps, chosen).get_axes()
        shown = [image.get_array() for axis in axes for image in axis.get_images()][1:]  # the first is the colour bar
        assert len(shown) == 2 * len(chosen)
        for place, (scan, heat) in enumerate(zip(pixels, maps, strict=True)):
            np.testing.assert_array_equal(shown[2 * place], scan)
            np.testing.assert_array_equal(shown[2 * place + 1], overlay(scan, heat))

    @pytest.mark.parametrize(("band", "kept"), [("Right", 8), ("Wrong", 8), ("Referred", 8)])
    def test_an_empty_band_says_none(self, band: str, kept: int, decided: pd.DataFrame) -> None:
        chosen = choose_scans(decided, 0.6, most=4)
        rest = chosen[chosen["band"] != band].reset_index(drop=True)
        assert len(rest) == kept
        assert f"{band}: none" in words(explanation_grid(*plots(rest), rest))

    def test_no_scan_at_all_can_be_drawn(self, decided: pd.DataFrame) -> None:
        none = choose_scans(decided, 0.6, most=4).iloc[:0]
        text = words(explanation_grid(np.empty((0, 12, 10), np.uint8), np.empty((0, 12, 10), np.float32), none))
        assert text.count(": none") == 3

    @pytest.mark.parametrize(("scans", "maps"), [(1, 12), (12, 1)])
    def test_pixels_and_maps_that_are_not_one_a_scan_are_refused(
        self, scans: int, maps: int, decided: pd.DataFrame
    ) -> None:
        chosen = choose_scans(decided, 0.6, most=4)
        pixels, heats = plots(chosen)
        with pytest.raises(EvaluationError, match=f"one a scan. Received: {scans} and {maps} for 12 scans"):
            explanation_grid(pixels[:scans], heats[:maps], chosen)


class TestOverlay:
    def test_mixes_gray_and_colour_by_the_map(self) -> None:
        # The last colour of inferno is (252, 255, 164), its middle one (188, 55, 84); full evidence covers by 0.7.
        found = overlay(np.array([[100, 100, 200]], np.uint8), np.array([[0, 1, 0.5]], np.float32))
        assert found.shape == (1, 3, 3)
        assert found.dtype == np.uint8
        by_hand = np.array([[100, 100, 100], [206, 208.5, 144.8], [0.65 * 200 + 0.35 * part for part in (188, 55, 84)]])
        np.testing.assert_allclose(found[0], by_hand, atol=1)

    def test_more_evidence_is_lighter_on_any_ground(self) -> None:
        steps = np.linspace(0, 1, 50, dtype=np.float32)[np.newaxis]
        color = overlay(np.zeros(steps.shape, np.uint8), steps)[0].astype(float)
        assert (np.diff(color @ (0.2126, 0.7152, 0.0722)) >= 0).all()


class TestOneScan:
    def test_names_the_scan_and_what_the_model_says(self) -> None:
        pixels, heat = np.full((20, 30), 90, np.uint8), np.ones((20, 30), np.float32)
        text = words(scan_explanation(pixels, heat, "scan.jpeg", "p_pneumonia 0.9000\nmodel xray/3", "pneumonia"))
        for part in (
            "scan.jpeg",
            "p_pneumonia 0.9000\nmodel xray/3\nBright colour",
            "nor a proof",
            "evidence for pneumonia",
        ):
            assert part in text

    def test_long_names_and_words_stay_within_the_picture(self) -> None:
        pixels, heat = np.full((20, 30), 90, np.uint8), np.ones((20, 30), np.float32)
        figure = scan_explanation(pixels, heat, "an-endless-name" * 20, "model models:/" + "long" * 60, "pneumonia")
        drawn = png(figure)
        width, height = Image.open(BytesIO(drawn)).size
        for text in figure.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.width, text.get_text()
        assert 0.5 < width / height < 2
        assert figure.texts[0].get_text().startswith("an-endless-name")

    def test_a_name_is_never_read_as_a_formula(self) -> None:
        pixels, heat = np.full((20, 30), 90, np.uint8), np.ones((20, 30), np.float32)
        assert png(scan_explanation(pixels, heat, r"$\frac$.png", "of $5 or $10", "pneumonia"))
