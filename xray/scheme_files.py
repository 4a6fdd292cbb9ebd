"""Scheme files: TOML, shipped or one's own, that say which finding is told from normal, and into which classes."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from xray.errors import ConfigError
from xray.labels import NORMAL, REFER, Scheme

SCHEMES = Path(__file__).parent / "schemes"
KEYS = ("finding", "classes")
NAMED = "lower-case letters and digits, with single - between, and not refer, low or high"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAKEN = (REFER, "low", "high")
"""A decision, and what the ends of an interval are called: `auc_low` is no AUC of a class."""


def is_name(word: Any) -> bool:
    """Whether a finding, class or label may be called so: columns, metrics and models are named by it."""
    return isinstance(word, str) and _NAME.fullmatch(word) is not None and word not in _TAKEN


@cache
def shipped_schemes() -> Mapping[str, Scheme]:
    """Read the shipped schemes, by name."""
    return {path.stem: read_scheme(path) for path in sorted(SCHEMES.glob("*.toml"))}


def read_scheme(path: Path) -> Scheme:
    """Read a scheme's file; its name is the file's, without `.toml`.

    Raises:
        ConfigError: It cannot be read, is no TOML, or says what no scheme may.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} must be a scheme's file. Received: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} must be TOML. Received: {error}") from error
    if set(values) != set(KEYS):
        raise ConfigError(f"{path} must have {' and '.join(KEYS)}. Received: {', '.join(sorted(values)) or 'nothing'}")
    try:
        return scheme_of(path.stem, values["finding"], values["classes"])
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def scheme_of(name: str, finding: Any, classes: Any) -> Scheme:
    """Make a scheme; two classes are put in the article's order, and of more `normal` comes first.

    Args:
        name: What the registered model's name ends in.
        finding: What every class but `normal` is.
        classes: Names, `normal` among them.

    Raises:
        ValueError: A name is none, there are too few classes or one twice, or they do not fit the finding.
    """
    given = list(classes) if isinstance(classes, list | tuple) else [classes]
    for word in (name, finding, *given):
        if not is_name(word):
            raise ValueError(f"a name must be {NAMED}. Received: {word}")
    others = [each for each in given if each != NORMAL]
    if len(given) != len(set(given)) or len(others) != len(given) - 1 or not others:
        raise ValueError(f"classes must be {NORMAL} and others, each once. Received: {', '.join(given)}")
    if finding == NORMAL or (len(others) == 1 and others != [finding]) or (len(others) > 1 and finding in others):
        raise ValueError(
            f"finding must be the class besides {NORMAL} where there is one, and else what all the others are. "
            f"Received: {finding}, with {', '.join(given)}"
        )
    return Scheme(name, (finding, NORMAL) if len(others) == 1 else (NORMAL, *others), finding)
