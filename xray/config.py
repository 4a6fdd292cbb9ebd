"""One frozen configuration, from a recipe file and the user's `--set KEY=VALUE`.

Longer than most files, since all sections stand here together: what can be set is read in one place.
"""

import difflib
import hashlib
import json
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from xray.errors import ConfigError

RECIPES = Path(__file__).parent / "recipes"


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class About(Section):
    """What a recipe says of itself."""

    source: str = Field("", min_length=1, description="Where the recipe comes from.")
    expect: str = Field("", min_length=1, description="What to expect of it: score, hours, machine.")


class Images(Section):
    """What every scan is made into before it is stored."""

    height: int = Field(300, ge=32, le=2048, description="Rows of a normalized scan, in pixels.")
    width: int = Field(300, ge=32, le=2048, description="Columns of a normalized scan, in pixels.")
    fit: Literal["stretch", "pad"] = Field(
        "stretch", description="Stretch to the size, as the article did, or keep the aspect ratio and pad with black."
    )


class Split(Section):
    """How the official TRAIN scans are cut into folds."""

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the folds.")
    folds: int = Field(5, ge=2, le=20, description="Number of folds over the TRAIN scans.")
    validation_fold: int = Field(0, ge=0, description="The fold that is validation; the others train.")
    group_by: Literal["patient", "none"] = Field(
        "patient", description="Keep a patient's scans on one side, or split at random as the article did."
    )
    drop_shared_patients: bool = Field(False, description="Leave patients who also have TEST scans out of training.")


class Model(Section):
    """The network."""

    architecture: Literal["article", "quick"] = Field("article", description="A name in xray.training.architectures.")


class Labels(Section):
    """What the network tells apart."""

    scheme: Literal["binary", "cause", "covid"] = Field(
        "binary", description="Pneumonia or normal; or normal, bacterial, viral; or these and COVID-19."
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="Count every scan alike in the loss, or every class."
    )


class Augmentation(Section):
    """Random changes of each training scan, drawn anew each epoch. Zero or false switches one off."""

    zoom: float = Field(0.0, ge=0, le=0.9, description="Zoom by up to this share of the size, in or out.")
    rotation: float = Field(0.0, ge=0, le=0.5, description="Rotate by up to this share of a full turn, either way.")
    flip: bool = Field(False, description="Mirror left and right with probability one half.")


class Training(Section):
    """How the network is fitted."""

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of weights, order and augmentation.")
    seeds: int = Field(1, ge=1, le=20, description="Train so many networks, with `seed` and the seeds after it.")
    epochs: int = Field(60, ge=1, le=10_000, description="Most epochs to train.")
    batch_size: int = Field(32, ge=1, le=4096, description="Scans a step.")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="Adam's step size.")
    patience: int = Field(
        5, ge=0, description="Stop after this many epochs without a lower validation loss; 0 never stops."
    )
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto", description="Arithmetic of a training step; auto takes bfloat16 where the hardware gains from it."
    )
    memory_budget_mb: int = Field(
        4096, ge=0, description="Keep the training pixels in memory when they need no more megabytes; else stream."
    )


class Evaluation(Section):
    """How the network is judged."""

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the bootstrap.")
    bootstrap_draws: int = Field(2000, ge=100, le=100_000, description="Bootstrap draws over patients.")
    calibration_bins: int = Field(15, ge=2, le=100, description="Equal-width bins of the calibration error.")
    threshold: str = Field(
        "youden",
        pattern=r"^(youden|cost|(sensitivity|specificity)>=(0?\.\d+|0|1(\.0+)?))$",
        description="How validation scans choose the threshold: youden, sensitivity>=X, specificity>=X or cost.",
    )
    temperature: bool = Field(True, description="Calibrate scores by a temperature, fitted on validation scans.")
    most_error: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Refer scans to a person until this share of the others is wrong, on validation; 1 refers none.",
    )
    prevalence: float | None = Field(
        None, gt=0, lt=1, description="Share of pneumonia where the model is used, where known; scores then mean that."
    )
    missed_cost: float = Field(
        5.0, gt=0, le=1000, description="False alarms that one missed pneumonia counts as, for the rule cost."
    )


_MARGIN = "Loss against the champion that the 95 % interval must exclude; 1 switches the rule off."


class Promotion(Section):
    """When a challenger takes the champion's place: docs/decisions/0005-promotion-policy.md."""

    scans: Literal["test", "validation"] = Field(
        "test", description="Which of the challenger's scans both models are judged on."
    )
    min_sensitivity: float = Field(0.9, ge=0, le=1, description="Least sensitivity, at the model's own threshold.")
    min_specificity: float = Field(0.5, ge=0, le=1, description="Least specificity, at the model's own threshold.")
    max_calibration_error: float = Field(0.2, ge=0, le=1, description="Most calibration error.")
    margin_auc: float = Field(0.05, ge=0, le=1, description=_MARGIN)
    margin_sensitivity: float = Field(0.05, ge=0, le=1, description=_MARGIN)
    margin_specificity: float = Field(0.1, ge=0, le=1, description=_MARGIN)
    refuse_marked: bool = Field(
        False, description="Refuse a challenger whose run says that it scores nearly as well without lungs."
    )

    @property
    def margins(self) -> dict[str, float]:
        """Give the margin of each figure that is compared with the champion's."""
        return {
            "auc": self.margin_auc,
            "sensitivity": self.margin_sensitivity,
            "specificity": self.margin_specificity,
        }


class Drift(Section):
    """When new scans are said to differ from the training scans: docs/score-new-scans.md."""

    limit: float = Field(0.25, gt=0, description="Population stability index from which a feature raises the alarm.")
    least_scans: int = Field(
        200, ge=20, description="Fewer scans on either side raise no alarm: so few differ as much by chance."
    )
    most_scans: int = Field(2000, ge=100, description="Of more new scans, as many are drawn by lot and looked at.")


class Registry(Section):
    """Where the run is tracked and the model registered."""

    experiment: str = Field("xray", min_length=1, description="MLflow experiment.")
    model_name: str = Field("xray-classifier", min_length=1, description="Registered model.")
    challenger: bool = Field(True, description="Whether a new version takes the alias `challenger`.")
    ensemble: bool = Field(
        True, description="Of several seeds, register their averaged ensemble; else the first seed's network."
    )


class Config(Section):
    """Everything that decides the outcome of a run, apart from the scans themselves."""

    recipe: str = Field(description="Name of the recipe it came from; alone, it stands for all of the recipe's values.")
    about: About = Field(default_factory=About, description="What the recipe says of itself.")
    images: Images = Images()
    split: Split = Split()
    labels: Labels = Labels()
    model: Model = Model()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    promotion: Promotion = Promotion()
    registry: Registry = Registry()

    @model_validator(mode="before")
    @classmethod
    def _over_its_recipe(cls, values: Any) -> Any:
        """Lay values over the shipped recipe they name, unless they are a whole recipe, which says what it is about."""
        if not isinstance(values, Mapping) or "about" in values or values.get("recipe") not in recipe_names():
            return values
        whole = _read_recipe(values["recipe"])
        for name, value in values.items():
            sections = isinstance(value, Mapping) and isinstance(whole.get(name), Mapping)
            whole[name] = {**whole[name], **value} if sections else value
        return whole

    @property
    def registered_name(self) -> str:
        """The registered model: `registry.model_name`, and with it the scheme where that is not binary."""
        scheme = self.labels.scheme
        return self.registry.model_name if scheme == "binary" else f"{self.registry.model_name}-{scheme}"

    def flat(self) -> dict[str, Any]:
        """Give every value by its dotted key, as `--set` and MLflow's params name it."""
        return _flatten(self.model_dump(mode="json"))


class Places(Section):
    """Where everything is kept, below one folder."""

    home: Path = Field(description="Folder that holds data/ and mlruns/.")

    @property
    def pixels(self) -> Path:
        """Pixel stores, one folder a normalizer."""
        return self.home / "data" / "pixels"

    @property
    def cleaned(self) -> Path:
        """Cleaned metadata, one folder each."""
        return self.home / "data" / "cleaned"

    @property
    def prepared(self) -> Path:
        """Catalogs, one folder each."""
        return self.home / "data" / "prepared"

    @property
    def trainings(self) -> Path:
        """Training folders, one for each catalog, normalizer and training configuration."""
        return self.home / "data" / "trainings"

    @property
    def cross_validations(self) -> Path:
        """Cross-validations, one folder for each set of trainings."""
        return self.home / "data" / "cross-validations"

    @property
    def digest_index(self) -> Path:
        """The file that remembers digests by (path, size, mtime)."""
        return self.home / "data" / "digests.parquet"

    @property
    def mlruns(self) -> Path:
        """MLflow's store."""
        return self.home / "mlruns"


class Request(Section):
    """What to run the pipeline on, and how."""

    data: Path = Field(description="Folder of scans with their metadata.")
    home: Path = Field(Path(), description="Folder that holds data/ and mlruns/.")
    config: Config = Field(description="The recipe with its changes.")

    @field_validator("data", "home")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        """Name a folder in one way only: the paths of scans are part of what is digested."""
        return folder.resolve()

    @property
    def places(self) -> Places:
        """Where everything is kept."""
        return Places(home=self.home.resolve())

    @property
    def command(self) -> str:
        """The command that does the same, or goes on with it, to be typed in a shell."""
        shipped = self.config.recipe in recipe_names()
        known = load_config(self.config.recipe).flat() if shipped else {}
        changed = {key: value for key, value in self.config.flat().items() if known.get(key, value) != value}
        recipe = self.config.recipe if shipped else f"{self.config.recipe}.toml"
        settings = [part for key, value in changed.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        return shlex.join(["xray", "run", str(self.data), "--recipe", recipe, *settings, "--home", str(self.home)])


def recipe_names() -> list[str]:
    """List the shipped recipes, in alphabetical order."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_config(recipe: str, settings: Iterable[str] = ()) -> Config:
    """Read a recipe and apply `KEY=VALUE` settings to it.

    Args:
        recipe: The name of a shipped recipe, or the path of a recipe's `.toml` file.
        settings: `section.key=value`; the value is read as TOML, or else taken as a word.

    Raises:
        ConfigError: No such recipe, a key that is not known (the nearest one is named), or a value out of bounds.
    """
    values = _read_recipe(recipe)
    known = _known_keys(Config)
    for setting in settings:
        key, separator, text = setting.partition("=")
        key = key.strip()
        if not separator:
            raise ConfigError(f"a setting must be KEY=VALUE. Received: {setting}")
        if key not in known:
            raise ConfigError(f"setting must name a known key{_nearest(key, known)}. Received: {key}")
        section, _, name = key.partition(".")
        if not isinstance(values.setdefault(section, {}), dict):
            raise ConfigError(f"recipe's {section} must be a table. Received: {values[section]!r}")
        values[section][name] = _parse(text.strip())
    return _validated(values)


def digest_of(value: Any) -> str:
    """Digest any JSON-like value: the first 16 hexadecimal digits of its canonical form's SHA-256.

    Args:
        value: What `json.dumps` takes. Keys are sorted, so their order does not matter.
    """
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _read_recipe(recipe: str) -> dict[str, Any]:
    path = Path(recipe) if recipe.endswith(".toml") else RECIPES / f"{recipe}.toml"
    if not path.is_file():
        names = recipe_names()
        raise ConfigError(f"recipe must be one of {', '.join(names)} or a .toml file. Received: {recipe}")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be TOML in UTF-8. Received: {error}") from error
    return {**values, "recipe": path.stem}


def _validated(values: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"recipe must hold known keys only{_nearest(key, _known_keys(Config))}. Received: {key}"
            ) from error
        raise ConfigError(f"{key}: {first['msg'].lower()}. Received: {first['input']!r}") from error


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation, f"{prefix}{name}.")
        elif prefix and prefix != "about.":
            keys.append(f"{prefix}{name}")
    return keys


def _nearest(key: str, known: list[str]) -> str:
    by_name = {known_key.rpartition(".")[2]: known_key for known_key in known}
    near = difflib.get_close_matches(key, known, n=1) or [
        by_name[name] for name in difflib.get_close_matches(key.rpartition(".")[2], list(by_name), n=1)
    ]
    return f" (did you mean {near[0]}?)" if near else ""


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
