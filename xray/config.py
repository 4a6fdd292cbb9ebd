"""One frozen configuration, from a recipe file and the user's `--set KEY=VALUE`."""

import json
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from xray.config_schema import (
    About,
    Augmentation,
    Drift,
    Evaluation,
    Images,
    Labels,
    Model,
    Promotion,
    Registry,
    Scans,
    Section,
    Split,
    Training,
    requirement,
)
from xray.errors import ConfigError
from xray.files.digest import bytes_sha256
from xray.files.s3 import DataPath, S3Path, data_path
from xray.recipe_files import Recipe, is_file, nearest, read_recipe, recipe_names

__all__ = [
    "About",
    "Augmentation",
    "Config",
    "Data",
    "Drift",
    "Evaluation",
    "Images",
    "Labels",
    "Model",
    "Promotion",
    "Registry",
    "Request",
    "Scans",
    "Section",
    "Split",
    "Training",
    "Workspace",
    "at_server",
    "digest_of",
    "load_config",
    "nearest",
    "recipe_names",
]


class Config(Section):
    """Everything that determines the result of a run, except the scans."""

    recipe: str = Field(description="Name of the recipe; without other values, it means all of the recipe's values.")
    about: About = Field(default_factory=About, description="The recipe's description of itself.")
    images: Images = Images()
    scans: Scans = Scans()
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
        """Lay values over the recipe they name, unless they are a whole recipe, which says what it is about."""
        if not isinstance(values, Mapping) or "about" in values or not isinstance(values.get("recipe"), str):
            return values
        if values["recipe"] not in recipe_names() and not is_file(values["recipe"]):
            return values
        whole = read_recipe(values["recipe"]).values
        for name, value in values.items():
            sections = isinstance(value, Mapping) and isinstance(whole.get(name), Mapping)
            whole[name] = {**whole[name], **value} if sections else value
        return {**whole, "recipe": Path(values["recipe"]).stem if is_file(values["recipe"]) else values["recipe"]}

    @property
    def registered_name(self) -> str:
        """The registered model: `registry.model_name`, and with it the scheme where that shall have its own."""
        scheme, name = self.labels.scheme, self.registry.model_name
        plain = scheme in ("binary", self.registry.plain_scheme) and not self.labels.classes
        return name if plain else f"{name}-{scheme}"

    def flat(self) -> dict[str, Any]:
        """Give every value by its dotted key, as `--set` and MLflow's params name it."""
        return _flatten(self.model_dump(mode="json"))


def at_server(address: Any) -> S3Path:
    """Read the address of a shared folder.

    Raises:
        ConfigError: It is none, or bears credentials.
    """
    place = data_path(address)
    if not isinstance(place, S3Path):
        raise ConfigError(f"--prepared must be s3://BUCKET/FOLDER. Received: {address}")
    return place


_AsText = PlainSerializer(str, return_type=str, when_used="json")
Data = Annotated[DataPath, BeforeValidator(data_path), _AsText, WithJsonSchema({"type": "string", "format": "path"})]
"""A folder of scans, absolute: a path of a scan relative to it is part of what is digested."""

AtServer = Annotated[S3Path, BeforeValidator(at_server), _AsText, WithJsonSchema({"type": "string"})]
"""A folder at an S3 server."""


class Workspace(Section):
    """Where everything is kept, below one folder."""

    home: Path = Field(description="Folder that holds data/ and mlruns/.")
    shared: AtServer | None = Field(None, description="Folder at an S3 server to share prepared data.")

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
    def studies(self) -> Path:
        """Studies, one folder for each search of a recipe's best values."""
        return self.home / "data" / "studies"

    @property
    def external(self) -> Path:
        """Models measured on labelled scans of somewhere else, one folder for each model and set."""
        return self.home / "data" / "external"

    @property
    def shared_models(self) -> Path:
        """Models that a cluster's workers read while they score, one folder for each ledger that is written to."""
        return self.home / "data" / "lent-models"

    @property
    def digest_index(self) -> Path:
        """The file that remembers digests by (path, size, mtime)."""
        return self.home / "data" / "digests.parquet"

    @property
    def private(self) -> Path:
        """What leads from digests back to files and patients, and never leaves the home."""
        return self.home / "data" / "private"

    @property
    def mlruns(self) -> Path:
        """MLflow's store."""
        return self.home / "mlruns"


class Request(Section):
    """What to run the pipeline on, and how."""

    model_config = ConfigDict(hide_input_in_errors=True)  # an address that is refused may hold a secret

    data: Data = Field(description="Folder of scans with their metadata, or s3://BUCKET/FOLDER.")
    others: tuple[Data, ...] = Field((), description="Further folders of scans, each a source of its own.")
    home: Path = Field(Path(), description="Folder that holds data/ and mlruns/.")
    prepared: AtServer | None = Field(None, description="s3://BUCKET/FOLDER to share prepared data.")
    config: Config = Field(description="The recipe with its changes.")
    recipe_file: SkipJsonSchema[Path | None] = None
    """The recipe's file, absolute, where it is none of the shipped ones: a printed command names it."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        """Name a folder in one way only."""
        return folder.resolve()

    @property
    def sources(self) -> list[DataPath]:
        """Every folder of scans."""
        return [self.data, *self.others]

    @property
    def workspace(self) -> Workspace:
        """Where everything is kept."""
        return Workspace(home=self.home.resolve(), shared=self.prepared)

    @property
    def arguments(self) -> list[str]:
        """The arguments of the command that does the same, or goes on with it, in whatever folder it is typed."""
        values, known = self.config.flat(), self._recipe_values()
        # A scheme's file may have changed, or not be there: what it said is typed.
        typed = ("labels.scheme", "labels.finding", "labels.classes") if self.config.labels.classes else ()
        changed = {
            key: values[key]
            for key in _known_keys(Config)
            if values[key] is not None and (key in typed or key not in known or known[key] != values[key])
        }
        settings = [part for key, value in changed.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        shared = ["--prepared", str(self.prepared)] if self.prepared else []
        places = ["--home", str(self.home), *shared]
        return ["run", *map(str, self.sources), "--recipe", self._recipe_named(), *settings, *places]

    @property
    def command(self) -> str:
        """That command, to be typed in a shell."""
        return shlex.join(["xray", *self.arguments])

    def _recipe_named(self) -> str:
        if self.recipe_file is not None:
            return str(self.recipe_file)
        return self.config.recipe if self.config.recipe in recipe_names() else f"{self.config.recipe}.toml"

    def _recipe_values(self) -> dict[str, Any]:
        """Read what the recipe says now; nothing where it cannot be read, so that every value is typed."""
        with suppress(ConfigError):
            return load_config(self._recipe_named()).flat()
        return {}


def load_config(recipe: str, settings: Iterable[str] = ()) -> Config:
    """Read a recipe and apply `KEY=VALUE` settings to it.

    Args:
        recipe: The name of a shipped recipe, or the path of a recipe's `.toml` file.
        settings: `section.key=value`; the value is read as TOML, or else taken as a word.

    Raises:
        ConfigError: No such recipe, a key that is not known (the nearest one is named), or a value out of bounds.
    """
    read = read_recipe(recipe)
    values, by_hand, known = read.values, set[str](), _known_keys(Config)
    for setting in settings:
        key, separator, text = setting.partition("=")
        key = key.strip()
        if not separator:
            raise ConfigError(f"a setting must be KEY=VALUE. Received: {setting}")
        if key not in known:
            raise ConfigError(f"setting must name a known key{nearest(key, known)}. Received: {key}")
        section, _, name = key.partition(".")
        if not isinstance(values.setdefault(section, {}), dict):
            raise ConfigError(f"{read.source(section)}: [{section}] must be a table. Received: {values[section]!r}")
        values[section][name] = _parse(text.strip())
        by_hand.add(key)
    return _validated(read, by_hand)


def digest_of(value: Any) -> str:
    """Digest any JSON-like value: the first 16 hexadecimal digits of its canonical form's SHA-256.

    Args:
        value: What `json.dumps` takes. Keys are sorted, so their order does not matter.
    """
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return bytes_sha256(canonical.encode())[:16]


def _validated(read: Recipe, by_hand: Set[str]) -> Config:
    """Make a configuration of a recipe's values, some of which were set by hand."""
    try:
        return Config.model_validate(read.values)
    except ValidationError as error:
        first = error.errors()[0]
        if isinstance(first["input"], Mapping) and first["type"] == "scheme":  # a section's fault that is a key's
            first["loc"], first["input"] = (*first["loc"], "scheme"), first["input"].get("scheme", "binary")
        parts = [str(part) for part in first["loc"]]
        key = ".".join(parts)
        # What was set by hand is named as it was typed, what one's own file says by that file.
        is_typed = key in by_hand or not is_file(read.named) or (by_hand and key not in read.sources)
        where = key if is_typed else f"{read.source(key)}: [{parts[0]}] {'.'.join(parts[1:])}".rstrip()
        if first["type"] == "extra_forbidden":
            near = nearest(key, [*_known_keys(Config), *(Config.model_fields.keys() - {"recipe"})])
            raise ConfigError(f"{read.source(key)}: recipe must have only known keys{near}. Received: {key}") from error
        if first["type"] in ("model_type", "dict_type"):
            raise ConfigError(f"{where} must be a table. Received: {first['input']!r}") from error
        words = requirement(first)
        raise ConfigError(f"{where}: {words}. Received: {first['input']!r}") from error


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation, f"{prefix}{name}.")
        elif prefix and prefix != "about.":
            keys.append(f"{prefix}{name}")
    return keys


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
