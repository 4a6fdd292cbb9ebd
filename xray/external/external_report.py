"""The report page of a model on scans of somewhere else."""

from collections.abc import Mapping
from datetime import UTC, datetime

from xray.data.phantoms.write_phantoms import has_phantoms
from xray.evaluation.metrics.bootstrap import estimate_of
from xray.evaluation.reporting.at_a_glance import sentence
from xray.evaluation.reporting.captions import plot_with_caption
from xray.evaluation.reporting.model_card import LIMITS, SAFETY
from xray.evaluation.reporting.page import Headline, Page, Part, Point
from xray.evaluation.reporting.run_report import PHANTOMS
from xray.external.answers import MeasuredVersion
from xray.external.labelled_set import SPLIT, LabelledSet
from xray.external.measure import COLUMNS, Measured
from xray.table import Table

TOP = {
    "sensitivity": ("Sensitivity", "of the {finding} scans are called {finding}, if every scan is decided"),
    "specificity": ("Specificity", "of the normal scans are called normal, if every scan is decided"),
    "referred": ("Referred", "of the scans are referred to a person"),
    "ppv": ("PPV", "of the scans called {finding} are {finding}, as common as it is here"),
    "auc": ("AUC", "probability that {finding} scores above normal; 0.5 is guessing"),
}
"""Figures that stand on top of the page, with their names and what each says."""


def external_page(
    version: MeasuredVersion,
    labelled: LabelledSet,
    measured: Measured,
    comparisons: Mapping[str, Table],
    looks: int,
    run_id: str,
) -> Page:
    """Gather what the page shows.

    Args:
        version: What was measured.
        labelled: The scans.
        measured: The evaluation.
        comparisons: Of versions on the same scans, by title.
        looks: How often these scans have been used to evaluate, this time included.
        run_id: The MLflow run that holds it.
    """
    report = measured.report()
    finding, rows = report["finding"], report["rows"]
    apart = [row[0] for row in rows if row[3].endswith("beyond chance")]
    return Page(
        title=f"{version.name} version {version.version} on {labelled.name}",
        about={"Written": f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC", "MLflow run": run_id},
        safety=SAFETY,
        notice=PHANTOMS if has_phantoms(labelled.rows) else "",
        lead=[
            f"{len(labelled.rows):,} labelled scans of {labelled.patients:,} patients, scored by the code that the "
            "model was kept with, at its own threshold."
        ],
        headline=_headline(report["metrics"], finding),
        measured_on=labelled.name,
        points=[
            *([Point("Different here", f"Beyond chance: {', '.join(apart)}.", True)] if apart else []),
            *(Point("The scans", sentence(note)) for note in report["notes"]),
            *(
                [Point("Repeated evaluation", f"These scans have been used to evaluate {looks} times.", True)]
                if looks > 1
                else []
            ),
        ],
        sections=[
            Part("Figures", [], {"Here, and on the model's own TEST": Table(COLUMNS, rows)}),
            Part("Compared on the same scans", [], comparisons),
            Part(
                "In detail",
                [],
                {title: Table(*table) for title, table in report["tables"].items()},
                [plot_with_caption(path, finding) for path in measured.plots()],
            ),
        ],
        limits=list(LIMITS),
        facts={
            "Model": version.uri,
            "Set": labelled.name,
            "Scans and labels": labelled.digest,
            "Threshold": f"{report['threshold']:.4f}",
        },
    )


def _headline(metrics: Mapping[str, float], finding: str) -> list[Headline]:
    cards = []
    for name, (title, meaning) in TOP.items():
        found = estimate_of(metrics, f"{SPLIT}.{name}")
        if found is None:
            continue
        said = meaning.format(finding=finding)
        if name == "auc":
            between = "no interval" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"
            cards.append(Headline(title, f"{found.value:.3f}", between, said))
        else:
            cards.append(Headline(title, f"{found.value:.1%}", found.between(), said))
    return cards
