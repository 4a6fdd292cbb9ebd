"""The contents of a run's model card and report page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray.config import Config
from xray.data.audit import lines
from xray.data.catalog import Catalog
from xray.data.phantoms.write_phantoms import has_phantoms
from xray.data.sources.words.patient_ids import SOURCES
from xray.evaluation.decision.operating_targets import operating_targets
from xray.evaluation.evaluate import Evaluated
from xray.evaluation.inspection.inspect import Inspected
from xray.evaluation.metrics import names
from xray.evaluation.metrics.split_metrics import CAUSES, COLUMNS
from xray.evaluation.reporting.at_a_glance import answers, headlines, points
from xray.evaluation.reporting.captions import plot_with_caption
from xray.evaluation.reporting.model_card import (
    CORONAHACK_LIMITS,
    LIMITS,
    PERSONAL,
    SAFETY,
    CardFacts,
    Figure,
    model_card,
)
from xray.evaluation.reporting.page import Link, Page, Part, Picture, Point
from xray.labels import PNEUMONIA
from xray.table import Table
from xray.training.fit import Trained

HEADLINE = {
    "auc": "a {finding} scan scores above a normal one",
    "average_precision": "mean precision over all thresholds",
    "accuracy": "decided correctly at the chosen threshold",
    "sensitivity": "of the {finding} scans called {finding}",
    "specificity": "of the normal scans called normal",
    "f1": "sensitivity and precision in one number",
    "brier": "mean squared error of the scores, 0 is best",
    "calibration_error": "mean difference between score and actual share, 0 is best",
    "sensitivity_bacterial": "of the bacterial pneumonias called pneumonia",
    "sensitivity_viral": "of the viral pneumonias called pneumonia",
    "referred": "of the scans referred to a person",
    "error_decided": "wrong among the scans that are decided",
    "ppv": "of the scans called {finding}, those that are",
    "npv": "of the scans called normal, those that are",
}
"""Figures on TEST that card and page show, with what each is."""

PHANTOMS = "These are phantoms: synthetic scans drawn by a program. Nothing on this page applies to people."


COUNT_METRIC = "looks"
"""How often a set of scans has been used to evaluate, under the name that MLflow keeps it by."""


@dataclass(frozen=True)
class EvaluationCount:
    """How often some scans were used to evaluate.

    Attributes:
        total: Evaluations and comparisons, each counted once.
        by_code: How many of them each version of the code made, by its commit or `unknown`.
    """

    total: int
    by_code: Mapping[str, int]


@dataclass(frozen=True)
class Origin:
    """Where a report comes from.

    Attributes:
        written: Day and time, in words.
        run_id: The MLflow run that holds it.
        address: Of the run's page, where a server keeps the store.
        version: Of the registered model; None where nothing is registered.
    """

    written: str
    run_id: str
    address: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class RunReport:
    """A finished training with everything that its report says.

    Attributes:
        trained: The training.
        evaluated: Its evaluation.
        inspected: What was seen on looking into it; None where nobody did.
        catalog: The scans.
        config: The whole configuration.
        count: How often these TEST scans have been used to evaluate, this time included.
        code: The version of the code, its commit or `unknown`.
    """

    trained: Trained
    evaluated: Evaluated
    inspected: Inspected | None
    catalog: Catalog
    config: Config
    count: EvaluationCount
    code: str

    def metrics(self) -> dict[str, float]:
        """Give every final figure by name, as MLflow keeps it."""
        seen = {} if self.inspected is None else self.inspected.report()["metrics"]
        own = {"best_epoch": self.trained.history().best_epoch, COUNT_METRIC: self.count.total}
        return {**self.evaluated.report()["metrics"], **seen, **own}

    def headline(self) -> str:
        """Say in one line what a version's own line in MLflow's list shows of it."""
        metrics, data = self.metrics(), self.catalog.data.name
        figures = ", ".join(
            f"{name} {metrics[f'test.{name}']:.3f}" for name in names.HEADLINE if f"test.{name}" in metrics
        )
        scans = int(metrics["test.scans"])
        return f"{figures} on {scans:,} TEST scans of {data}, recipe {self.config.recipe}"

    def card(self) -> str:
        """Write the model card, Markdown."""
        return model_card(self.card_facts())

    def card_facts(self) -> CardFacts:
        """Gather what the model card says."""
        metrics = self.metrics()
        return CardFacts(
            name=self.config.registered_name,
            recipe=self.config.recipe,
            source=self.config.about.source,
            details=self._details(),
            counts=self._counts(),
            rules=self._rules(),
            finding=self._finding,
            figures={name: _figure(metrics, name) for name in HEADLINE if self._is_told(name)},
            findings=self._findings(),
            limits=[*([PHANTOMS] if self._phantoms else []), *self._against(), *self._limits_of_the_data()],
            known=[name for name in PERSONAL if name in self.catalog.rows()],
        )

    def page(self, origin: Origin) -> Page:
        """Gather what the report page shows.

        Args:
            origin: The run that the page is written for.
        """
        name, recipe = self.config.registered_name, self.config.recipe
        version = "" if origin.version is None else f" version {origin.version}"
        about = self._about(origin)
        report = self.evaluated.report()
        return Page(
            title=f"{name}{version}, recipe {recipe}",
            about={name: value for name, value in about.items() if name in ("Written", "MLflow run")},
            notice=PHANTOMS if self._phantoms else "",
            safety=SAFETY,
            lead=[f"{answers(report)} {self._learnt()}"],
            headline=headlines(report),
            points=self._points(self._looked() if self.count.total > 1 else ""),
            sections=[
                Part("Decision rule", [f"Positive means {self._finding}.", *self._rules()]),
                Part("Metrics on TEST", [], self._judged_tables(), self._plots(JUDGED)),
                Part(
                    "Inspection",
                    [f"{topic.capitalize()}: {words}." for topic, words in self._findings().items()],
                    self._seen_tables(),
                    self._plots(SEEN),
                ),
                Part("Training and data", [], self._audit(), self._plots(LEARNT)),
            ],
            limits=[*self._limits_of_the_data(), *LIMITS],
            facts={**about, **self._details()},
        )

    def _points(self, looked: str) -> list[Point]:
        weak = {} if self.inspected is None else self.inspected.report()["weak"]
        return points(self.evaluated.report(), weak, self.config.evaluation, looked)

    def _against(self) -> list[str]:
        """List the reasons to doubt the model; the number of test-set evaluations is among the rules."""
        return [f"{point.topic}. {point.words}" for point in self._points("") if point.weak]

    @property
    def _finding(self) -> str:
        return self.config.labels.told_apart.finding

    def _is_told(self, figure: str) -> bool:
        """Leave a cause's own figure out where the finding has no causes."""
        return self._finding == PNEUMONIA or not any(figure.endswith(cause) for cause in CAUSES)

    @property
    def _phantoms(self) -> bool:
        return has_phantoms(self.catalog.rows())

    def _limits_of_the_data(self) -> list[str]:
        own = [f"{limit}." for limit in self.catalog.findings().get("limits", ())]
        coronahack = bool({*self.catalog.rows()["source"]} & {*SOURCES, "coronahack"})
        return [*own, *(CORONAHACK_LIMITS if coronahack else ())]

    def _about(self, origin: Origin) -> dict[str, str | Link]:
        run = origin.run_id
        about: dict[str, str | Link] = {
            "Written": origin.written,
            "Recipe": self.config.recipe,
            "Model": self.config.registered_name,
            "Version": origin.version or "not registered",
            "MLflow run": f"{run}, shown by xray ui" if origin.address is None else Link(run, origin.address),
        }
        return about

    def _learnt(self) -> str:
        learnt = sum(count for name, count in self._counts().items() if name.startswith("train"))
        return f"Trained on {learnt:,} scans of {self.catalog.data.name}, {self._training()}."

    def _rules(self) -> list[str]:
        """Describe the decision rule and the number of test-set evaluations, a sentence each."""
        reading, evaluation = self.evaluated.reading(), self.config.evaluation
        rules = [
            f"The threshold, {reading.threshold:.4f}, was chosen on validation scans by the rule "
            f"{evaluation.threshold} and not on TEST.",
            f"Scores are calibrated by a temperature of {reading.temperature:.3f}, fitted on validation scans.",
            "Every scan is decided; none is referred."
            if reading.low == reading.high
            else f"Scores from {reading.low:.4f} up to {reading.high:.4f} are referred to a person, "
            f"so that on validation scans at most {evaluation.most_error:.1%} of the others are decided wrongly.",
            *(f"Target: {each}." for each in operating_targets(self.evaluated.report(), evaluation)),
        ]
        if reading.prevalence is not None:
            rules.append(f"Scores are adjusted to scans of which {reading.prevalence:.1%} are {reading.finding}.")
        return [*rules, self._looked()]

    def _looked(self) -> str:
        times = f"{self.count.total} time{'' if self.count.total == 1 else 's'}"
        versions = f"{len(self.count.by_code)} version{'' if len(self.count.by_code) == 1 else 's'}"
        return f"These TEST scans have been used for evaluation {times}, this one included, by {versions} of the code."

    def _findings(self) -> dict[str, str]:
        return {} if self.inspected is None else dict(self.inspected.report()["verdicts"])

    def _training(self) -> str:
        history, seed, seeds = self.trained.history(), self.config.training.seed, self.config.training.seeds
        if seeds > 1:
            return f"{seeds} networks averaged, seeds {seed} to {seed + seeds - 1}, {history.precision}"
        epochs = f"{len(history.epochs)} epoch{'' if len(history.epochs) == 1 else 's'}"
        return f"{epochs}, best epoch {history.best_epoch}, {history.precision}"

    def _details(self) -> dict[str, str]:
        images = self.config.images
        return {
            "Architecture": f"{self.config.model.network}, {images.height} x {images.width} gray",
            "Training": self._training(),
            "Classes": ", ".join(self.evaluated.reading().classes),
            "Catalog": self.catalog.digest,
            "Commit": self.code,
        }

    def _counts(self) -> dict[str, int]:
        counts = self.catalog.rows().groupby(["split", "label"]).size()
        return {f"{split}, {label}": int(count) for (split, label), count in counts.items()}

    def _judged_tables(self) -> dict[str, Table]:
        report = self.evaluated.report()
        first = "TEST, as if every scan were decided, with 95 % intervals over patients"
        further = {title: Table(*table) for title, table in report["tables"].items() if table[1] != report["rows"]}
        return {first: Table(COLUMNS, report["rows"]), **further}

    def _seen_tables(self) -> dict[str, Table]:
        tables = {} if self.inspected is None else self.inspected.report()["tables"]
        return {title: Table(*table) for title, table in tables.items()}

    def _audit(self) -> dict[str, Table]:
        return {"Findings of the audit of the scans": Table(("finding", "value"), lines(self.catalog.findings()))}

    def plots(self) -> list[Path]:
        """List every picture of the run, PNG files."""
        return [*self.evaluated.plots(), *(self.inspected.plots() if self.inspected else ())]

    def _plots(self, names: tuple[str, ...]) -> list[Picture]:
        there = {path.stem: path for path in self.plots()}
        return [plot_with_caption(there[name], self._finding) for name in names if name in there]


JUDGED = (
    "scan_grid", "roc_curve", "precision_recall", "confusion_matrix", "score_distribution", "calibration", "referral",
    "class_confusion", "class_rocs",
)  # fmt: skip
SEEN = ("maps", "robustness", "slices")
LEARNT = ("class_distribution", "learning_curves")
"""Which pictures stand in which part, in order."""


def _figure(metrics: Mapping[str, Any], name: str) -> Figure:
    value, low, high = (metrics.get(f"test.{name}{end}") for end in ("", "_low", "_high"))
    return value, low, high
