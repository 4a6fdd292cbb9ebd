"""What a study searches: which keys of the configuration, between which values, and by which figure."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from xray.config import Config, Section, nearest
from xray.errors import ConfigError

DEFAULT_SPACE = Path(__file__).parents[1] / "spaces" / "default.toml"
SECTIONS = ("images", "labels", "model", "augmentation", "training")
"""Sections that change what is trained; the others change how it is judged."""

FIXED = (
    "labels.scheme",
    "labels.finding",
    "labels.classes",
    "training.label_smoothing",
    "training.seed",
    "training.seeds",
    "training.memory_budget_mb",
)
"""Keys of these sections that are not searched: another question, another measure of the loss on VALIDATION, luck, or
no effect on the network."""

MOST_CORNERS = 10_000
Number = StrictInt | StrictFloat
Params = Mapping[str, Any]
"""A value for each searched key."""


class Range(Section):
    """Every number between two.

    Whole numbers stand for whole numbers only, unless the key takes others.
    """

    low: Number = Field(description="The minimum.")
    high: Number = Field(description="The maximum, included.")
    log: bool = Field(False, description="Whether to draw on a logarithmic scale.")
    step: Number | None = Field(None, gt=0, description="Distance between two values; none allows all.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.low >= self.high:
            raise PydanticCustomError("order", "low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise PydanticCustomError("log", "log needs low above 0 and no step")
        return self

    @property
    def corners(self) -> Sequence[Number]:
        """The values whose bounds stand for the others'."""
        return (self.low, self.high)

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.low:g} to {self.high:g}" + (", log" if self.log else f" by {self.step:g}" if self.step else "")


class Choices(Section):
    """Some values, in no order."""

    choices: tuple[StrictBool | StrictInt | StrictFloat | StrictStr, ...] = Field(
        min_length=2, description="Values that differ."
    )

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(self.choices)) < len(self.choices):
            raise PydanticCustomError("choices", "choices must differ")
        return self

    @property
    def corners(self) -> Sequence[bool | int | float | str]:
        """Every value."""
        return self.choices

    def __str__(self) -> str:
        """Say it in a few words."""
        return ", ".join(map(str, self.choices))


Space = Mapping[str, Range | Choices]
"""The values that each searched key may take."""


def load_space(path: Path = DEFAULT_SPACE) -> dict[str, Range | Choices]:
    """Read a space from a TOML file: `"section.key" = { low, high, log, step }` or `{ choices }`, or in tables.

    Args:
        path: The file.

    Raises:
        ConfigError: It cannot be read, is no TOML, or an entry is no range and no choice.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--space must be a file that can be read. Received: {path} ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be TOML in UTF-8. Received: {error}") from error
    space = {key: _entry(key, value) for key, value in _entries(values)}
    if not space:
        raise ConfigError(f"a space must name at least one key. Received: none in {path}")
    return space


class Search(Section):
    """How a study searches. TEST scans take no part in it."""

    space: dict[str, Range | Choices] = Field(
        default_factory=load_space, min_length=1, description="The searched settings, and the possible values of each."
    )
    trials: int = Field(20, ge=1, le=10_000, description="Total number of trials, existing ones included.")
    objective: Literal["val_loss", "val_auc"] = Field(
        "val_loss", description="The metric on VALIDATION scans, at each trial's best epoch, to optimize."
    )
    startup_trials: int = Field(5, ge=0, description="Completed trials before pruning starts.")
    warmup_epochs: int = Field(2, ge=0, description="Epochs of each trial before it can be pruned.")

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Where the better figure lies."""
        return "minimize" if self.objective == "val_loss" else "maximize"

    def require_fits(self, config: Config) -> None:
        """Refuse a space whose keys or values a configuration does not take.

        Args:
            config: What the searched keys are changed in.

        Raises:
            ConfigError: A key is not known or not to be searched, or a value is out of bounds.
        """
        known = config.flat()
        searchable = [key for key in known if key.partition(".")[0] in SECTIONS and key not in FIXED]
        for key, entry in self.space.items():
            if key not in known:
                raise ConfigError(f"a space must have only known keys{nearest(key, searchable)}. Received: {key}")
            if key not in searchable:
                sections = ", ".join(f"{section}.*" for section in SECTIONS)
                raise ConfigError(f"a searched key must be in {sections} and not {', '.join(FIXED)}. Received: {key}")
            _require_kind(key, entry, known[key])
            for value in entry.corners:
                applied(config, {key: value})
        corners = product(*(entry.corners for entry in self.space.values()))
        for values in islice(corners, MOST_CORNERS):
            applied(config, dict(zip(self.space, values, strict=True)))

    def image_configs(self, config: Config) -> Iterator[Config]:
        """Give the configuration of each way that scans are made into pixels: one, where none is searched."""
        keys = [key for key in self.space if key.startswith("images.")]
        for values in product(*(self.space[key].corners for key in keys)):
            yield applied(config, dict(zip(keys, values, strict=True)))

    def corner(self, config: Config) -> Config:
        """Give a configuration that depends on nothing but what is not searched and the space."""
        return applied(config, {key: entry.corners[0] for key, entry in self.space.items()})


def applied(config: Config, params: Params) -> Config:
    """Change some values of a configuration.

    Args:
        config: The whole configuration.
        params: The new values.

    Raises:
        ConfigError: A value is out of bounds.
    """
    values = config.model_dump()
    for key, value in params.items():
        section, _, name = key.partition(".")
        values[section][name] = value
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        received = ", ".join(f"{key}={value}" for key, value in params.items())
        raise ConfigError(f"searched values must fit: {key}: {first['msg'].lower()}. Received: {received}") from error


def in_words(params: Params) -> str:
    """Write searched values in a line, numbers to four digits."""
    return ", ".join(f"{key}={value_in_words(value)}" for key, value in sorted(params.items()))


def value_in_words(value: Any) -> str:
    """Write a value, a number to four digits; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _require_kind(key: str, entry: Range | Choices, now: Any) -> None:
    if isinstance(entry, Choices):
        return
    if key.startswith("images."):
        raise ConfigError(f"{key} must be searched by choices: each value decodes all scans again. Received: {entry}")
    if isinstance(now, bool | str):
        raise ConfigError(f"{key} must be searched by choices, because it is not a number. Received: {entry}")
    if isinstance(now, int) and not all(isinstance(value, int) for value in (entry.low, entry.high, entry.step or 1)):
        raise ConfigError(f"{key} must be searched by whole numbers. Received: {entry}")


def _entries(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
            yield from _entries(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _entry(key: str, value: Any) -> Range | Choices:
    kind = Choices if isinstance(value, Mapping) and "choices" in value else Range
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f".{part}" for part in first["loc"][:1])
        raise ConfigError(f"{key}{where}: {first['msg'].lower()}. Received: {first['input']!r}") from error
