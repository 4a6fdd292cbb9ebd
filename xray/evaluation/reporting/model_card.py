"""The model card, written from the run's own facts.

Headings after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, doi:10.1145/3287560.3287596.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from xray.labels import PNEUMONIA
from xray.table import Table

SAFETY = "It supports a doctor's judgement and never replaces it. It is not a medical device."
LIMITS = (
    "A probability is this model's score on scans like those it was trained on; it is not a diagnosis.",
    "Scans of other machines, ages, countries or file formats may score differently; nothing here measures that.",
)
"""What holds for every model of this pipeline."""

CORONAHACK_LIMITS = (
    "All COVID-19 and other foreign-source scans are pneumonia, so the model may have learned their source.",
    "Patients are known only from file names; the official split may have the same patient on both sides.",
)
"""What holds besides for a model that has learned from CoronaHack."""

PERSONAL = ("age", "sex", "view", "site")
"""What a data set may say of a scan that a figure may depend on."""

Figure = tuple[float | None, float | None, float | None]
"""A value with the low and high end of its interval; None where there was nothing to measure."""


@dataclass(frozen=True)
class CardFacts:
    """What a card says of one model.

    Attributes:
        name: Registered name.
        recipe: Recipe of the training.
        source: Where the recipe comes from.
        details: Further facts by name: digests, commit, architecture, epochs.
        counts: Scans by what they are: "train, pneumonia" and the like.
        rules: How the outputs are read, a sentence each: threshold, temperature, referral.
        finding: What the model tells from normal.
        figures: Figures on TEST by name, each with its 95 % interval.
        findings: What was seen on looking into it, a sentence each by topic.
        limits: Limits of this very run, before those of every model.
        known: Which of `PERSONAL` the data set says.
    """

    name: str
    recipe: str
    source: str
    details: Mapping[str, str]
    counts: Mapping[str, int]
    rules: Sequence[str]
    finding: str
    figures: Mapping[str, Figure]
    findings: Mapping[str, str] = field(default_factory=dict)
    limits: Sequence[str] = ()
    known: Sequence[str] = ()


def model_card(facts: CardFacts) -> str:
    """Write the card as Markdown."""
    details = {"Recipe": f"{facts.recipe}. {facts.source}", **facts.details}
    rules = (f"Positive means {facts.finding}.", *facts.rules, "Intervals are 95 %, from a bootstrap over patients.")
    counts = [(name, f"{count:,}") for name, count in facts.counts.items()]
    findings = _bullets(f"{topic}: {words}" for topic, words in facts.findings.items())
    return "\n\n".join([
        f"# {facts.name}",
        "## Model details\n\n" + _bullets(f"{name}: {value}" for name, value in details.items()),
        f"## Intended use\n\nTelling {facts.finding} from normal on frontal chest X-rays, for teaching, research and "
        f"as a second look. {SAFETY}",
        f"## Factors\n\n{_causes(facts.finding)}{_personal(facts.known)}",
        "## Metrics\n\n" + _bullets(rules),
        "## Data\n\n" + Table(("scans", "number"), counts).markdown(),
        "## Quantitative analyses\n\n" + "\n\n".join(filter(None, [_figures(facts.figures), findings])),
        f"## Ethical considerations\n\nA missed {facts.finding} harms, and so does an unnecessary treatment. No "
        "decision about a person may be based on this model alone.",
        "## Caveats and limits\n\n" + _bullets((*facts.limits, *LIMITS)),
    ]) + "\n"  # fmt: skip


def _causes(finding: str) -> str:
    return "Bacterial and viral pneumonia have their own sensitivity. " if finding == PNEUMONIA else ""


def _personal(known: Sequence[str]) -> str:
    unknown = " and ".join(name for name in PERSONAL if name not in known)
    said = f"The data set says {' and '.join(known)} of its scans. " if known else ""
    return f"{said}Nothing is known of {unknown or 'the machine'}."


def _figures(figures: Mapping[str, Figure]) -> str:
    rows = [
        (name.replace("_", " "), "no scans" if value is None else _number(value), _interval(low, high))
        for name, (value, low, high) in figures.items()
    ]
    return Table(("metric", "TEST", "95 % interval"), rows).markdown()


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:.3f}"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
