"""The decision rule: outputs are calibrated, adjusted to the prevalence of use, and decided or referred.

Everything here is chosen on validation scans, stored with the model, and used from then on by `predict`, `score` and
serving alike.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xray import config
from xray.errors import EvaluationError
from xray.evaluation.decision.prior_shift import adjust_prior
from xray.evaluation.decision.referral import Band, choose_band
from xray.evaluation.decision.temperature_scaling import apply_temperature, fit_temperature
from xray.evaluation.decision.thresholds import choose_threshold
from xray.labels import (
    LABELS,
    NORMAL,
    PNEUMONIA,
    Scheme,
    class_columns,
    decide,
    p_column,
    p_finding,
    predicted_class,
    raw_column,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecisionRule:
    """What is stored with a model beside its weights.

    Attributes:
        classes: In the order of the network's outputs.
        finding: What a scan is called from the threshold on.
        threshold: 0 to 1.
        low: From here on, below `high`, a scan is referred to a person; 0 to `threshold`.
        high: Where that ends; `threshold` to 1.
        temperature: Above 0; 1 leaves the outputs as they are.
        prior: Share of the finding among the validation scans, above 0 and below 1.
        prevalence: Share of the finding where the model is used; None takes `prior`.
    """

    threshold: float
    low: float
    high: float
    classes: tuple[str, ...] = LABELS
    temperature: float = 1.0
    prior: float = 0.5
    prevalence: float | None = None
    finding: str = PNEUMONIA

    @classmethod
    def at(cls, threshold: float) -> "DecisionRule":
        """Read the outputs as they are, and decide every scan at a threshold."""
        return cls(threshold, threshold, threshold)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DecisionRule":
        """Read back what `to_dict` gave."""
        return cls(**{**values, "classes": tuple(values["classes"])})

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON-like values."""
        return {**asdict(self), "classes": list(self.classes)}

    @property
    def probability_columns(self) -> list[str]:
        """The columns of probabilities that `read` gives: `p_FINDING`, `p_FINDING_raw`, then `p_CLASS` for each."""
        return [p_column(self.finding), raw_column(self.finding), *class_columns(self.classes)]

    @property
    def band(self) -> Band:
        """The referred scores."""
        return Band(self.low, self.high)

    def read(self, probabilities: NDArray[np.float64]) -> pd.DataFrame:
        """Read class probabilities as they came from the network.

        Args:
            probabilities: float64 (n, k), one column a class, 0 to 1.

        Returns:
            A row a scan: `p_FINDING` (0 to 1, calibrated), `p_FINDING_raw` (as it came), `likeliest_class` (which
            decides nothing), `decision` (the finding, normal or refer) and, with more classes than two, `p_CLASS` for
            each.
        """
        calibrated = self._calibrated(probabilities)
        p = p_finding(calibrated, self.classes)
        return pd.DataFrame(
            {
                p_column(self.finding): p,
                raw_column(self.finding): p_finding(probabilities, self.classes),
                "likeliest_class": predicted_class(calibrated, self.classes),
                "decision": decide(p, self.threshold, self.low, self.high, self.finding),
                **{name: calibrated[:, place] for place, name in enumerate(class_columns(self.classes))},
            }
        )

    def _calibrated(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        tempered = apply_temperature(probabilities, self.temperature)
        if self.prevalence is None:
            return tempered
        before = p_finding(tempered, self.classes)
        after = adjust_prior(before, self.prior, self.prevalence)
        positive = np.divide(after, before, out=np.ones_like(after), where=before > 0)
        carried = tempered * positive[:, np.newaxis]
        carried[:, self.classes.index(NORMAL)] = 1 - after
        return carried


def fit_decision_rule(
    probabilities: NDArray[np.float64], rows: pd.DataFrame, scheme: Scheme, evaluation: config.Evaluation
) -> DecisionRule:
    """Choose temperature, threshold and band on validation scans.

    The threshold and the band are chosen on calibrated scores. A stated prevalence then carries them over together with
    the scores, so it changes what a score means and no decision.

    Args:
        probabilities: float64 (n, k), as the network gave them.
        rows: The n validation scans, with label and subtype.
        scheme: The classes of the network.
        evaluation: Names the rules.

    Raises:
        EvaluationError: A class is missing, or the threshold's rule is out of reach.
    """
    y = (rows["label"] != NORMAL).to_numpy(dtype=bool)
    index = scheme.class_index(rows["subtype"])
    temperature = fit_temperature(probabilities, index) if evaluation.temperature else 1.0
    return rule_at(temperature, probabilities, y, scheme, evaluation)


def rule_at(
    temperature: float,
    probabilities: NDArray[np.float64],
    y: NDArray[np.bool_],
    scheme: Scheme,
    evaluation: config.Evaluation,
) -> DecisionRule:
    """Choose threshold and band at a temperature; as `fit_decision_rule`.

    Args:
        temperature: Above 0.
        probabilities: float64 (n, k), as the network gave them.
        y: bool (n,), True has the finding. Both must be there.
        scheme: The classes of the network.
        evaluation: Names the rules.

    Raises:
        EvaluationError: A label is missing, or the threshold's rule is out of reach.
    """
    p = p_finding(apply_temperature(probabilities, temperature), scheme.classes)
    threshold = choose_threshold(y, p, evaluation)
    band = _band(y, p, threshold, evaluation.most_error)
    prior, cuts = float(y.mean()), np.array([threshold, band.low, band.high])
    if evaluation.prevalence is not None:
        cuts = adjust_prior(cuts, prior, evaluation.prevalence)
    threshold, low, high = map(float, cuts)
    return DecisionRule(threshold, low, high, scheme.classes, temperature, prior, evaluation.prevalence, scheme.finding)


def _band(y: NDArray[np.bool_], p: NDArray[np.float64], threshold: float, most_error: float) -> Band:
    try:
        return choose_band(y, p, threshold, most_error)
    except EvaluationError:
        log.warning("no band limits the errors on validation scans to %g: every score below 1 is referred", most_error)
        return Band(0.0, 1.0)
