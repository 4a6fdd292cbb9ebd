"""The report in a real browser: wide and narrow, by day and by night. Nothing cut off, nothing loaded, all legible."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.figure import Figure
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Page as Tab

from xray import config
from xray.data.phantoms.drawing import draw_chest
from xray.evaluation.decision.outcomes import Outcomes
from xray.evaluation.metrics.split_metrics import COLUMNS, Evaluation, evaluate_split
from xray.evaluation.plots import binary as figures
from xray.evaluation.plots.scan_grid import choose_scans, scan_grid
from xray.evaluation.reporting.page import Headline, Link, Page, Part, Picture, Point, write_page
from xray.labels import decide
from xray.table import Table

pytestmark = [pytest.mark.system]

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZES = {"desktop": (1440, 900), "narrow": (1100, 800), "phone": (390, 844)}
OUTSIDE = "http://127.0.0.1:9/outside.png"

CUT_OFF = """() => {
  const width = document.documentElement.clientWidth, found = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > width) found.push(`cut off: the page is ${wide} wide on ${width}`);
  const scrolls = e => /auto|scroll/.test(getComputedStyle(e).overflowX);
  const framed = e => e && (scrolls(e) || framed(e.parentElement));
  for (const e of document.body.querySelectorAll("*")) {
    const box = e.getBoundingClientRect(), name = `${e.tagName} ${e.id} ${e.className}`;
    if (box.width && !framed(e.parentElement) && (box.right > width + 1 || box.left < -1))
      found.push(`cut off: ${name} from ${box.left} to ${box.right} on ${width}`);
    const hides = ["overflowX", "overflowY"].some(way => /hidden|clip/.test(getComputedStyle(e)[way]));
    if (hides && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1))
      found.push(`cut off: ${name} hides what is in it`);
  }
  return found;
}"""
PICTURES = """() => [...document.images].flatMap(image => [
  ...(image.naturalWidth > 0 ? [] : [`picture: not loaded, ${image.alt}`]),
  ...(image.alt.trim() ? [] : ["picture: no alternative text"]),
])"""
UNROLL = """() => {
  for (const e of document.querySelectorAll("*")) e.style.setProperty("overflow", "visible", "important");
  document.body.style.minWidth = "4000px";
}"""
# MLflow 3.17 shows an HTML artifact so.
FRAMED = """text => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.style = "width: 100%; height: 800px";
  frame.onload = () => done();
  frame.src = URL.createObjectURL(new Blob([text], {type: "text/html"}));
  document.body.append(frame);
})"""


@dataclass(frozen=True)
class View:
    """How somebody looks at the page."""

    size: str
    scheme: Literal["light", "dark"]

    def __str__(self) -> str:
        return f"{self.size}-{self.scheme}"


VIEWS = [View("desktop", "light"), View("narrow", "dark"), View("phone", "light"), View("phone", "dark")]


def chromium() -> str:
    """Find the browser. It must be there in CI; elsewhere its tests are skipped."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"CI must have a browser, one of {NAMES}. Received: none")
    if found is None:
        pytest.skip(f"no browser is here, none of {NAMES}: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium with an empty profile of its own."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@contextmanager
def opened(browser: Browser, file: Path, view: View) -> Iterator[tuple[Tab, list[str]]]:
    """Open a file, and note what the browser complains of and what it asks for outside."""
    width, height = SIZES[view.size]
    faults: list[str] = []
    with browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=view.scheme,
        is_mobile=view.size == "phone",
        offline=True,
    ) as context:
        tab = context.new_page()
        tab.on("console", lambda said: faults.append(f"console: {said.text}"))
        tab.on("pageerror", lambda error: faults.append(f"console: {error}"))
        own = (file.as_uri(), "data:", "blob:")
        tab.on("request", lambda asked: None if asked.url.startswith(own) else faults.append(f"outside: {asked.url}"))
        tab.goto(file.as_uri())
        yield tab, faults


def unreadable(tab: Tab) -> list[str]:
    """Ask axe-core for what breaks WCAG 2 A and AA, and for every contrast that it could not tell."""
    found = Axe().run(tab).response["violations"]
    # It cannot tell the ground of what is scrolled out of sight, so nothing scrolls the second time.
    tab.evaluate(UNROLL)
    contrast = Axe().run(tab, options={"runOnly": ["color-contrast"]}).response
    assert contrast["passes"] or contrast["violations"] or contrast["incomplete"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in [*found, *contrast["violations"], *contrast["incomplete"]]
        for node in rule["nodes"]
    ]


def faults_of(browser: Browser, file: Path, view: View) -> list[str]:
    """All that is wrong with a page."""
    with opened(browser, file, view) as (tab, faults):
        return [*tab.evaluate(CUT_OFF), *tab.evaluate(PICTURES), *unreadable(tab), *faults]


def png(figure: Figure) -> bytes:
    written = BytesIO()
    figure.savefig(written)
    return written.getvalue()


def scores() -> pd.DataFrame:
    generator, place = np.random.default_rng(5), np.arange(600)
    positive = place % 3 > 0
    p = np.clip(np.where(positive, 0.75, 0.3) + generator.normal(scale=0.2, size=600), 0, 1)
    return pd.DataFrame(
        {
            "image_id": [f"scan{number}.jpeg" for number in place],
            "sha256": [f"{number:064x}" for number in generator.permutation(600)],
            "patient_id": [f"person{number // 2}" for number in place],
            "label": np.where(positive, "pneumonia", "normal"),
            "subtype": np.where(~positive, "normal", np.where(place % 3 == 1, "bacterial", "viral")),
            "split": "test",
            "p_pneumonia": p,
            "decision": decide(p, 0.62, 0.55, 0.7),
        }
    )


def plots(table: pd.DataFrame, evaluated: Evaluation) -> dict[str, bytes]:
    chosen, outcomes = choose_scans(table, evaluated.chosen.threshold), Outcomes.of(table)
    scans = np.stack([draw_chest(name, (n,), (n,), (96, 96)) for n, name in enumerate(chosen["subtype"])])
    return {
        "The scans with their labels": png(scan_grid(scans, chosen, outcomes, evaluated)),
        "The ROC curve": png(figures.roc_curve(table, evaluated)),
        "The calibration curve": png(figures.calibration(table, evaluated)),
        "The confusion matrices": png(figures.confusion_matrix(outcomes, evaluated)),
        "The scores of both labels": png(figures.score_distribution(table, evaluated)),
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report as a run has it: long names, a wide table, figures and pictures of 600 phantoms."""
    table = scores()
    evaluated = evaluate_split(table, 0.62, config.Evaluation(bootstrap_draws=100))
    shown = [Picture(drawn, f"{name} of 600 phantoms.", f"{name}. Drawn from 600 phantoms that were scored by lot.")
             for name, drawn in plots(table, evaluated).items()]  # fmt: skip
    slices = [
        (f"source: a_hospital_with_a_very_long_name_{n}/and_a_folder", "1,204 (611)", "0.912 (0.887 to 0.934)",
         "0.871 (0.822 to 0.915)", "0.943 (0.925 to 0.959)", f"{n}", "The brightest fifth of the scans, by mean gray")
        for n in range(5)
    ]  # fmt: skip
    page = Page(
        title="article, seed 3, on chest X-rays: is it pneumonia?",
        safety="It supports a doctor's judgement and never replaces it. It is not a medical device.",
        lead=[
            "A network of the article's kind was trained on 4,230 scans of 2,713 patients and judged on 624 scans of "
            "the official TEST split, of which it had seen none. Its threshold was chosen on validation scans alone.",
            "Positive means pneumonia. Intervals are 95 %, by a bootstrap over patients.",
        ],
        about={"Written": "25 November 2026", "MLflow run": Link("0f" * 16, "http://127.0.0.1:9/#/runs/" + "0f" * 16)},
        notice="These are phantoms: synthetic scans drawn by a program.",
        points=[Point(f"Point {n}", "The rule asks for at most 2.0%; on TEST it is 27.3%: not kept.", n % 2 == 0)
                for n in range(8)],
        headline=[
            Headline(name.replace("_", " "), f"{found.value:.3f}", f"95 % interval {found.low:.3f} to {found.high:.3f}",
                     "What it means for somebody who reads it, said in one line.")
            for name, found in {**evaluated.ranking, **evaluated.chosen.figures}.items()
        ],
        sections=[
            Part("How well it tells them apart", ["Two thresholds stand side by side: the chosen one and 0.5."],
                 {"Metrics on TEST": Table(COLUMNS, evaluated.rows())}, shown[1:2]),
            Part("Does the probability mean what it says?", ["Nearly: see the gaps."], {}, shown[2:3]),
            Part("Where it is weak, slice by slice", ["The worst slice is named first."],
                 {"Slices of TEST, each with its interval": Table(
                     ("slice", "scans (patients)", "sensitivity", "specificity", "AUC", "rank", "what it is"), slices
                 )}),
            Part("What it looked at", ["Right ones by lot, wrong ones by confidence."], {}, [shown[0], *shown[3:]]),
        ],
        limits=["The model may have learnt the source of a scan rather than the lungs.", "n_" * 90],
        facts={"catalog digest": "0f" * 32, "commit": "9c" * 20, "trained on": "2 cores, TensorFlow 2.21.0, oneDNN",
               "a/fact/of/a/very_long_name_without_any_space": "yes"},
    )  # fmt: skip
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(write_page(page), encoding="utf-8")
    return file


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_report_has_no_fault(browser: Browser, report: Path, view: View) -> None:
    assert faults_of(browser, report, view) == []


def test_the_report_weighs_less_than_5_megabytes(report: Path) -> None:
    assert report.stat().st_size < 5_000_000


def test_the_night_is_dark_and_the_day_is_white(browser: Browser, report: Path) -> None:
    grounds = []
    for view in (View("desktop", "light"), View("desktop", "dark")):
        with opened(browser, report, view) as (tab, _):
            grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(18, 24, 31)"]


def test_a_picture_that_is_tapped_is_enlarged_and_tapped_again_fits(browser: Browser, report: Path) -> None:
    with opened(browser, report, View("phone", "light")) as (tab, faults):
        picture = tab.get_by_role("img", name="The ROC curve")
        widths = []
        for _ in range(3):
            widths.append(picture.evaluate("image => image.getBoundingClientRect().width"))
            assert [*tab.evaluate(CUT_OFF), *faults] == []
            picture.click()
    assert widths[1:] == [800, widths[0]]
    assert widths[0] < 390


def test_a_link_of_the_contents_brings_its_part_into_sight(browser: Browser, report: Path) -> None:
    with opened(browser, report, View("desktop", "light")) as (tab, _):
        tab.get_by_role("navigation").get_by_role("link", name="Limits").click()
        expect(tab.get_by_role("heading", name="Limits")).to_be_in_viewport()


def test_it_opens_in_the_frame_that_mlflow_shows_an_artifact_in(browser: Browser, report: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer.html"
    outer.write_text("<!doctype html><html lang=en><title>outer</title><body>")
    with opened(browser, outer, View("desktop", "light")) as (tab, faults):
        tab.evaluate(FRAMED, report.read_text(encoding="utf-8"))
        inner = tab.frames[1]
        assert inner.title() == "article, seed 3, on chest X-rays: is it pneumonia?"
        assert [*inner.evaluate(CUT_OFF), *inner.evaluate(PICTURES), *faults] == []
        inner.get_by_role("navigation").get_by_role("link", name="Limits").click()
        expect(inner.get_by_role("heading", name="Limits")).to_be_in_viewport()


BAD = {
    "color-contrast": '<p style="color: #999; background: #aaa">gray on gray</p>',
    "cut off: the page": '<table style="width: 2000px"><tr><td>wide</td></tr></table>',
    "hides what is in it": '<p style="width: 4em; overflow: hidden; white-space: nowrap">a sentence cut short</p>',
    "picture: no alternative text": f'<img src="{OUTSIDE}" alt="">',
    "picture: not loaded": '<img src="data:image/png;base64,AAAA" alt="broken">',
    "image-alt": '<img src="data:image/png;base64,AAAA">',
    "outside: ": f'<img src="{OUTSIDE}" alt="elsewhere">',
    "console: ": "<script>console.warn('a warning')</script>",
    "heading-order": "<h4>a heading that skips one</h4>",
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_page_is_caught(browser: Browser, tmp_path: Path, fault: str) -> None:
    bad = tmp_path / "bad.html"
    body = f"<main><h1>Bad</h1>{BAD[fault]}</main>"
    bad.write_text(f'<!doctype html><html lang="en"><title>bad</title><body>{body}')
    assert fault in "\n".join(faults_of(browser, bad, View("desktop", "light")))


def test_a_page_that_is_only_bad_by_night_is_caught_by_night(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    style = "@media (prefers-color-scheme: dark) { main { background: #222; color: #444 } }"
    body = "<main><h1>Bad</h1><p>by night</p></main>"
    bad.write_text(f'<!doctype html><html lang="en"><title>bad</title><style>{style}</style><body>{body}')
    assert faults_of(browser, bad, View("phone", "light")) == []
    assert "color-contrast" in "\n".join(faults_of(browser, bad, View("phone", "dark")))
