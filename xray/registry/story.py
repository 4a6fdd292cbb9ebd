"""What a run says of itself in words: the facts of its model card and the parts of its report page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray.config import Config
from xray.data.audit import lines
from xray.data.catalog import Catalog
from xray.evaluation.captions import picture
from xray.evaluation.inspection import Inspected
from xray.evaluation.judge import Judged
from xray.evaluation.page import Headline, Page, Part, Picture, Table
from xray.evaluation.report import COLUMNS
from xray.registry.card import LIMITS, SAFETY, CardFacts, Figure, model_card
from xray.registry.looks import METRIC, Looks, code_version
from xray.training.fit import Trained

HEADLINE = {
    "auc": "a pneumonia scan scores above a normal one",
    "average_precision": "mean precision over all thresholds",
    "accuracy": "decided rightly at the chosen threshold",
    "sensitivity": "of the pneumonia scans called pneumonia",
    "specificity": "of the normal scans called normal",
    "f1": "sensitivity and precision in one number",
    "brier": "mean squared error of the scores, 0 is best",
    "calibration_error": "mean gap between score and truth, 0 is best",
    "sensitivity_bacterial": "of the bacterial pneumonias called pneumonia",
    "sensitivity_viral": "of the viral pneumonias called pneumonia",
    "referred": "of the scans handed to a person",
    "error_decided": "wrong among the scans that are decided",
}
"""Figures on TEST that card and page show, with what each is."""

CARDS = ("auc", "accuracy", "sensitivity", "specificity", "calibration_error", "referred")
"""Those that stand on top of the page."""


@dataclass(frozen=True)
class Story:
    """A finished training, and all that is told of it.

    Attributes:
        trained: The training.
        judged: Its evaluation.
        inspected: What was seen on looking into it; None where nobody did.
        catalog: The scans.
        config: The whole configuration.
        looks: How often these TEST scans have been looked at, this look included.
    """

    trained: Trained
    judged: Judged
    inspected: Inspected | None
    catalog: Catalog
    config: Config
    looks: Looks

    def metrics(self) -> dict[str, float]:
        """Give every final figure by name, as MLflow keeps it."""
        seen = {} if self.inspected is None else self.inspected.report()["metrics"]
        own = {"best_epoch": self.trained.history().best_epoch, METRIC: self.looks.total}
        return {**self.judged.report()["metrics"], **seen, **own}

    def headline(self) -> str:
        """Say in one line what a version's own line in MLflow's list shows of it."""
        metrics, data = self.metrics(), self.catalog.data.name
        figures = ", ".join(f"{name} {metrics[f'test.{name}']:.3f}" for name in CARDS[:4] if f"test.{name}" in metrics)
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
            figures={name: _figure(metrics, name) for name in HEADLINE},
            findings=self._findings(),
        )

    def page(self) -> Page:
        """Gather what the report page shows."""
        name, recipe = self.config.registered_name, self.config.recipe
        return Page(
            title=f"{name}, recipe {recipe}",
            safety=SAFETY,
            lead=[self._lead(), *self._rules()],
            headline=self._cards(),
            sections=[
                Part("Figures on TEST", [], self._judged_tables(), self._pictures(JUDGED)),
                Part(
                    "A look inside",
                    [f"{topic.capitalize()}: {words}." for topic, words in self._findings().items()],
                    self._seen_tables(),
                    self._pictures(SEEN),
                ),
                Part("Training and data", [], [self._audit()], self._pictures(LEARNT)),
            ],
            limits=list(LIMITS),
            facts=self._details(),
        )

    def _lead(self) -> str:
        counts = self._counts()
        learnt = sum(count for name, count in counts.items() if name.startswith("train"))
        held = sum(count for name, count in counts.items() if name.startswith("test"))
        return (
            f"Trained on {learnt:,} scans of {self.catalog.data.name}, {self._training()}; judged on {held:,} official "
            f"TEST scans that it has not learnt from."
        )

    def _rules(self) -> list[str]:
        """Say how the outputs are read and how often TEST was looked at, a sentence each."""
        reading, evaluation = self.judged.reading(), self.config.evaluation
        rules = [
            f"The threshold, {reading.threshold:.4f}, was chosen on validation scans by the rule "
            f"{evaluation.threshold} and not on TEST.",
            f"Scores are calibrated by a temperature of {reading.temperature:.3f}, fitted on validation scans.",
            "Every scan is decided; none is referred."
            if reading.low == reading.high
            else f"Scores from {reading.low:.4f} up to {reading.high:.4f} are referred to a person and not decided, "
            f"so that on validation scans at most {evaluation.most_error:.1%} of the others are decided wrongly.",
        ]
        if reading.prevalence is not None:
            rules.append(f"Scores are meant for scans of which {reading.prevalence:.1%} are pneumonia.")
        times = f"{self.looks.total} time{'' if self.looks.total == 1 else 's'}"
        versions = f"{len(self.looks.by_code)} version{'' if len(self.looks.by_code) == 1 else 's'}"
        return [*rules, f"These TEST scans have been looked at {times}, this look included, by {versions} of the code."]

    def _findings(self) -> dict[str, str]:
        return {} if self.inspected is None else dict(self.inspected.report()["verdicts"])

    def _training(self) -> str:
        history, seed, seeds = self.trained.history(), self.config.training.seed, self.config.training.seeds
        if seeds > 1:
            return f"{seeds} networks averaged, seeds {seed} to {seed + seeds - 1}, {history.precision}"
        return f"{len(history.epochs)} epochs, best epoch {history.best_epoch}, {history.precision}"

    def _details(self) -> dict[str, str]:
        images = self.config.images
        return {
            "Architecture": f"{self.config.model.network}, {images.height} x {images.width} gray",
            "Training": self._training(),
            "Classes": ", ".join(self.judged.reading().classes),
            "Catalog": self.catalog.digest,
            "Commit": code_version(),
        }

    def _counts(self) -> dict[str, int]:
        counts = self.catalog.rows().groupby(["split", "label"]).size()
        return {f"{split}, {label}": int(count) for (split, label), count in counts.items()}

    def _cards(self) -> list[Headline]:
        metrics, cards = self.metrics(), []
        for name in CARDS:
            value, low, high = _figure(metrics, name)
            if value is not None:
                between = "no interval" if low is None else f"{low:.3f} to {high:.3f}"
                cards.append(Headline(name.replace("_", " "), f"{value:.3f}", between, HEADLINE[name]))
        return cards

    def _judged_tables(self) -> list[Table]:
        report = self.judged.report()
        first = Table("TEST, with 95 % intervals over patients", COLUMNS, report["rows"])
        return [first, *(Table(title, *table) for title, table in report["tables"].items())]

    def _seen_tables(self) -> list[Table]:
        tables = {} if self.inspected is None else self.inspected.report()["tables"]
        return [Table(title, *table) for title, table in tables.items()]

    def _audit(self) -> Table:
        return Table("What the audit of the scans found", ("finding", "value"), lines(self.catalog.findings()))

    def pictures(self) -> list[Path]:
        """List every picture of the run, PNG files."""
        return [*self.judged.pictures(), *(self.inspected.pictures() if self.inspected else ())]

    def _pictures(self, names: tuple[str, ...]) -> list[Picture]:
        there = {path.stem: path for path in self.pictures()}
        return [picture(there[name]) for name in names if name in there]


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
