"""The outcome of a promotion or rollback, as text: the record with its evaluation."""

from dataclasses import dataclass

from xray.promotion.challenge import ChampionComparison
from xray.promotion.decision_record import MOVES, Decision
from xray.table import Table

COLUMNS = ("rule", "value", "passed")
"""What the columns of `Decision.rows` hold."""


@dataclass(frozen=True)
class PromotionOutcome:
    """A decision with its evaluation.

    Attributes:
        model_name: The registered model.
        record: The closed record.
        comparison: None where without an evaluation: a rollback, or a promotion forced without.
    """

    model_name: str
    record: Decision
    comparison: ChampionComparison | None = None

    @property
    def moved(self) -> bool:
        """Whether the champion is another version now."""
        return self.record.verdict in MOVES

    @property
    def message(self) -> str:
        """Say what came of it, in one line."""
        draft = self.record.draft
        why = self.record.outcome or draft.reason
        return f"{self.model_name} version {draft.after} {self.record.verdict}{f': {why}' if why else ''}"

    def rows(self) -> list[tuple[str, str, str]]:
        """Write each rule of the policy, what was seen and whether it held, under `COLUMNS`."""
        checks = [] if self.comparison is None else self.comparison.checks
        return [(check.rule, check.seen, "yes" if check.held else "no") for check in checks]

    @property
    def looks(self) -> int:
        """How many test-set evaluations these scans have had so far, this one included."""
        return int(self.record.metrics.get("looks", 0))

    def scans(self) -> str:
        """Describe the scans of the evaluation."""
        if self.comparison is None:
            return "without an evaluation"
        found = self.comparison.challenger
        return f"{found.scans:,} {found.split} scans of {found.patients:,} patients, test-set evaluation {self.looks}"

    def markdown(self) -> str:
        """Write the decision for Prefect's UI."""
        lines = [f"**{self.message}**", f"Previous: {self.record.draft.before or 'none'}. By {self.record.by}."]
        if self.comparison is not None:
            lines += [self.scans().capitalize() + ".", Table(COLUMNS, self.rows()).markdown()]
        return "\n\n".join([*lines, f"MLflow run {self.record.run_id}, experiment {self.model_name}-decisions."])
