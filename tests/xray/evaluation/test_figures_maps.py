"""Maps of evidence as pictures: which scans are shown, what stands beside them, and the overlay by hand."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from tests.xray.evaluation.test_figures import words
from xray.errors import EvaluationError
from xray.evaluation.figures_maps import choose_explained, explanation_grid, overlay, scan_explanation
from xray.labels import decide


@pytest.fixture
def decided(scored: pd.DataFrame) -> pd.DataFrame:
    """The scores, decided at 0.6, with those from 0.5 to 0.7 referred."""
    return scored.assign(decision=decide(scored["p_pneumonia"].to_numpy(), 0.6, 0.5, 0.7))


def pictures(scans: pd.DataFrame) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Made-up scans with their maps, of 12 x 10; the last map is empty."""
    generator = np.random.default_rng(0)
    maps = generator.random((len(scans), 12, 10), dtype=np.float32)
    maps[-1:] = 0
    return generator.integers(0, 256, maps.shape, dtype=np.uint8), maps


def png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=30)
    return buffer.getvalue()


class TestChoose:
    def test_right_then_wrong_then_referred_up_to_four_of_each(self, decided: pd.DataFrame) -> None:
        chosen = choose_explained(decided, 0.6)
        assert chosen["band"].tolist() == 4 * ["Right"] + 4 * ["Wrong"] + 4 * ["Referred"]
        right, wrong, referred = (part for _, part in chosen.groupby("band", sort=False))
        assert (right["decision"] == right["label"]).all()
        assert right["label"].value_counts().to_dict() == {"normal": 2, "pneumonia": 2}
        assert (wrong["decision"] != wrong["label"]).all()
        assert set(referred["decision"]) == {"refer"}

    def test_wrong_ones_are_the_most_confident_first_and_no_referred_one_is_among_them(self) -> None:
        # Threshold 0.6. Missed: 0.12 is 4/5 of the way to 0, 0.3 1/2. A false alarm of 0.9 is 3/4 of the way to 1.
        scores = pd.DataFrame(
            {
                "image_id": ["half", "three quarters", "referred", "four fifths"],
                "sha256": ["a", "b", "c", "d"],
                "label": ["pneumonia", "normal", "pneumonia", "pneumonia"],
                "p_pneumonia": [0.3, 0.9, 0.55, 0.12],
                "decision": ["normal", "pneumonia", "refer", "normal"],
            }
        )
        chosen = choose_explained(scores, 0.6)
        assert chosen["image_id"].tolist() == ["four fifths", "three quarters", "half", "referred"]
        assert chosen["band"].tolist() == ["Wrong", "Wrong", "Wrong", "Referred"]

    def test_referred_ones_are_drawn_in_the_order_of_their_digests(self, decided: pd.DataFrame) -> None:
        referred = decided[decided["decision"] == "refer"]
        assert len(referred) > 3
        chosen = choose_explained(decided, 0.6, most=3)
        found = chosen.loc[chosen["band"] == "Referred", "sha256"].tolist()
        assert found == sorted(referred["sha256"])[:3]

    def test_the_order_of_the_rows_does_not_matter(self, decided: pd.DataFrame) -> None:
        shuffled = decided.sample(frac=1, random_state=1)
        pd.testing.assert_frame_equal(choose_explained(decided, 0.6), choose_explained(shuffled, 0.6))

    def test_a_model_that_refers_all_or_none_has_empty_bands(self, decided: pd.DataFrame) -> None:
        assert set(choose_explained(decided.assign(decision="refer"), 0.6)["band"]) == {"Referred"}
        none = decided.assign(decision=decide(decided["p_pneumonia"].to_numpy(), 0.6))
        assert set(choose_explained(none, 0.6)["band"]) == {"Right", "Wrong"}

    def test_scores_without_a_decision_are_refused(self, scored: pd.DataFrame) -> None:
        with pytest.raises(EvaluationError, match=r"Missing: \['decision'\]"):
            choose_explained(scored, 0.6)


class TestGrid:
    def test_each_scan_is_titled_with_what_it_is_and_what_it_was_called(self, decided: pd.DataFrame) -> None:
        chosen = choose_explained(decided, 0.6)
        text = words(explanation_grid(*pictures(chosen), chosen))
        for heading in ("Right, drawn by lot", "Wrong, the most confident first", "Referred, left to a person"):
            assert heading in text
        assert "evidence for pneumonia" in text
        assert text.count("no evidence") == 1
        for scan in chosen.itertuples():
            called = "referred" if scan.decision == "refer" else f"called {scan.decision}"
            assert f"actual {scan.label}\n{called} {scan.p_pneumonia:.2f}" in text

    def test_a_scan_lies_beside_its_own_map(self, decided: pd.DataFrame) -> None:
        chosen = choose_explained(decided, 0.6, most=2)
        pixels, maps = pictures(chosen)
        axes = explanation_grid(pixels, maps, chosen).get_axes()
        shown = [image.get_array() for axis in axes for image in axis.get_images()][1:]  # the first is the colour bar
        assert len(shown) == 2 * len(chosen)
        for place, (scan, heat) in enumerate(zip(pixels, maps, strict=True)):
            np.testing.assert_array_equal(shown[2 * place], scan)
            np.testing.assert_array_equal(shown[2 * place + 1], overlay(scan, heat))

    @pytest.mark.parametrize(("band", "kept"), [("Right", 8), ("Wrong", 8), ("Referred", 8)])
    def test_an_empty_band_says_none(self, band: str, kept: int, decided: pd.DataFrame) -> None:
        chosen = choose_explained(decided, 0.6)
        rest = chosen[chosen["band"] != band].reset_index(drop=True)
        assert len(rest) == kept
        assert f"{band}: none" in words(explanation_grid(*pictures(rest), rest))

    def test_no_scan_at_all_can_be_drawn(self, decided: pd.DataFrame) -> None:
        none = choose_explained(decided, 0.6).iloc[:0]
        text = words(explanation_grid(np.empty((0, 12, 10), np.uint8), np.empty((0, 12, 10), np.float32), none))
        assert text.count(": none") == 3

    @pytest.mark.parametrize(("scans", "maps"), [(1, 12), (12, 1)])
    def test_pixels_and_maps_that_are_not_one_a_scan_are_refused(
        self, scans: int, maps: int, decided: pd.DataFrame
    ) -> None:
        chosen = choose_explained(decided, 0.6)
        pixels, heats = pictures(chosen)
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
        text = words(scan_explanation(pixels, heat, "scan.jpeg", "p_pneumonia 0.9000\nmodel xray/3"))
        for part in (
            "scan.jpeg",
            "p_pneumonia 0.9000\nmodel xray/3\nBright colour",
            "no proof",
            "evidence for pneumonia",
        ):
            assert part in text

    def test_long_names_and_words_stay_within_the_picture(self) -> None:
        pixels, heat = np.full((20, 30), 90, np.uint8), np.ones((20, 30), np.float32)
        figure = scan_explanation(pixels, heat, "an-endless-name" * 20, "model models:/" + "long" * 60)
        drawn = png(figure)
        width, height = Image.open(BytesIO(drawn)).size
        for text in figure.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.width, text.get_text()
        assert 0.5 < width / height < 2
        assert figure.texts[0].get_text().startswith("an-endless-name")

    def test_a_name_is_never_read_as_a_formula(self) -> None:
        pixels, heat = np.full((20, 30), 90, np.uint8), np.ones((20, 30), np.float32)
        assert png(scan_explanation(pixels, heat, r"$\frac$.png", "of $5 or $10"))
