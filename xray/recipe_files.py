"""Recipe files: TOML, shipped or one's own, which may extend another one."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray.errors import ConfigError

RECIPES = Path(__file__).parent / "recipes"
EXTENDS = "extends"
NOT_SAID = "Not said."


@dataclass(frozen=True)
class Recipe:
    """What a recipe says, with everything that it extends.

    Attributes:
        named: As it was named.
        values: Section to key to value; `about` is the file's own, never that of what it extends.
        sources: The file that each value comes from, by the value's dotted key.
        chain: The file, what it extends, what that extends, and so on.
    """

    named: str
    values: dict[str, Any]
    sources: Mapping[str, Path]
    chain: tuple[Path, ...]

    def source(self, key: str) -> str:
        """Name the file that a key comes from, for an error; the recipe's own where none says it."""
        path = self.sources.get(key, self.chain[0])
        return str(path) if path == self.chain[0] else f"{self.chain[0]}, which extends {_called(path)}"

    @property
    def remark(self) -> str:
        """Say in one line what holds for the values that the file leaves out."""
        if len(self.chain) == 1:
            return f"{self.chain[0].name} extends nothing: missing keys have the defaults in docs/recipes.md"
        return f"{self.chain[0].name} extends {' and '.join(_called(path) for path in self.chain[1:])}"


def recipe_names() -> list[str]:
    """List the shipped recipes, in alphabetical order."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def is_file(recipe: str) -> bool:
    """Whether a recipe is named by its file, rather than as a shipped one."""
    return recipe.endswith(".toml")


def read_recipe(recipe: str) -> Recipe:
    """Read a recipe and what it extends.

    Args:
        recipe: The name of a shipped recipe, or the path of a recipe's `.toml` file.

    Raises:
        ConfigError: There is no such recipe, it cannot be read, is no TOML, or extends what ends at itself.
    """
    path = Path(recipe) if is_file(recipe) else RECIPES / f"{recipe}.toml"
    if not path.is_file():
        raise ConfigError(f"recipe must be one of {', '.join(recipe_names())} or a .toml file. Received: {recipe}")
    chain: list[Path] = []
    values: dict[str, Any] = {}
    sources: dict[str, Path] = {}
    following: Path | None = path
    while following is not None:
        if any(following.resolve() == each.resolve() for each in chain):
            steps = " extends ".join(each.name for each in (*chain, following))
            raise ConfigError(f"{path}: extends must not form a circle. Received: {steps}")
        chain.append(following)
        found = _read(following)
        if len(chain) > 1:
            found.pop("about", None)  # what is said of a recipe does not hold for one that changes it
        following = _extended(following, found)
        _lay_below(values, sources, found, chain[-1])
    about = values.get("about")
    if path.stem in recipe_names() and path.parent != RECIPES and about is None and len(chain) == 1:
        # Such a file was once laid over the shipped recipe of its name without a word.
        raise ConfigError(
            f'{path}: a file with the name of a shipped recipe must have extends = "{path.stem}", or an [about]. '
            "Received: neither"
        )
    source = path.name if len(chain) == 1 else f"{path.name}, which extends {_called(chain[1])}"
    values["about"] = {"source": source, "expect": NOT_SAID, **(about or {})}
    return Recipe(recipe, {**values, "recipe": path.stem}, sources, tuple(chain))


def nearest(key: str, known: Iterable[str]) -> str:
    """Suggest the known key that a mistyped one comes nearest to, in brackets; nothing where none is near."""
    known = list(known)
    by_name = {known_key.rpartition(".")[2]: known_key for known_key in known}
    near = difflib.get_close_matches(key, known, n=1) or [
        by_name[name] for name in difflib.get_close_matches(key.rpartition(".")[2], list(by_name), n=1)
    ]
    return f" (did you mean {near[0]}?)" if near else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be TOML in UTF-8. Received: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} must be readable. Received: {error.strerror}") from error
    said = values.pop("recipe", path.stem)
    if said != path.stem:
        raise ConfigError(
            f"{path}: recipe must be the file's name, {path.stem}; use extends to extend another one. "
            f"Received: {said!r}"
        )
    about = values.get("about", {})
    if not isinstance(about, dict):
        raise ConfigError(f"{path}: [about] must be a table. Received: {about!r}")
    labels = values.get("labels")
    if isinstance(labels, dict) and isinstance(scheme := labels.get("scheme"), str) and is_file(scheme):
        labels["scheme"] = str(path.parent / scheme)  # as what a recipe extends, relative to its own folder
    return values


def _extended(path: Path, values: dict[str, Any]) -> Path | None:
    """Find the file that one extends, which is relative to its own folder."""
    if EXTENDS not in values:
        return None
    named = values.pop(EXTENDS)
    wanted = f"{path}: {EXTENDS} must be one of {', '.join(recipe_names())} or a .toml file"
    if not isinstance(named, str):
        raise ConfigError(f"{wanted}. Received: {named!r}")
    found = path.parent / named if is_file(named) else RECIPES / f"{named}.toml"
    if not found.is_file():
        raise ConfigError(f"{wanted}{'' if is_file(named) else nearest(named, recipe_names())}. Received: {named}")
    return found


def _lay_below(values: dict[str, Any], sources: dict[str, Path], found: Mapping[str, Any], path: Path) -> None:
    """Take from a file what the files above it leave out."""
    for name, section in found.items():
        if not isinstance(section, Mapping):
            if name not in values:
                values[name], sources[name] = section, path
            continue
        whole = values.setdefault(name, {})
        for key, value in section.items():
            if isinstance(whole, dict) and key not in whole:
                whole[key], sources[f"{name}.{key}"] = value, path


def _called(path: Path) -> str:
    return path.stem if path.parent == RECIPES else path.name
