"""How scans are named, and the words of splits, views, sexes and ages."""

import re
from collections import Counter
from collections.abc import Sequence

from xray.data.sources.words.label_words import canonical

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_VIEWS = {
    **dict.fromkeys(("l", "ll", "lat", "lateral", "left lateral", "rl", "lld"), "lateral"),
    **dict.fromkeys(("pa", "posteroanterior", "postero anterior"), "PA"),
    **dict.fromkeys(("ap", "anteroposterior", "antero posterior", "ap horizontal"), "AP"),
    **dict.fromkeys(("frontal", "front"), "frontal"),
}
_SEXES = {**dict.fromkeys(("f", "female", "w"), "F"), **dict.fromkeys(("m", "male"), "M")}
_AGE = re.compile(r"0*(\d+(?:\.\d+)?)\s*([ymwd]?)", re.IGNORECASE)
_YEARS = {"": 1.0, "y": 1.0, "m": 1 / 12, "w": 1 / 52, "d": 1 / 365}


def split_word(word: str) -> str:
    """Read a word as `train`, `validation` or `test`; empty where it is none."""
    return _SPLITS.get(canonical(word), "")


def view_of(word: str) -> str:
    """Read a view: `PA`, `AP`, `frontal`, `lateral`, another word as it is, or empty."""
    return _VIEWS.get(canonical(word), word.strip())


def sex_of(word: str) -> str:
    """Read a sex: `F`, `M`, another word as it is, or empty."""
    return _SEXES.get(canonical(word), word.strip())


def month_of(word: str) -> str:
    """Read a date as year and month, `2020-03`: `20200315`, `2020-03-15 10:22` and `2020-03` are dates; else empty."""
    found = re.match(r"((?:19|20)\d{2})[-./]?(0[1-9]|1[0-2])(?!\d(?!\d))", word.strip())
    return "" if found is None else f"{found[1]}-{found[2]}"


def age_of(word: str) -> str:
    """Read an age as years: `58`, `058Y` and `018M` are ages; anything else is empty."""
    found = _AGE.fullmatch(word.strip())
    return "" if found is None else f"{float(found[1]) * _YEARS[found[2].lower()]:.4g}"


def scan_names(paths: Sequence[str]) -> list[str]:
    """Name scans by their files, and by their paths where files in several folders have one name."""
    bases = [path.rpartition("/")[2] for path in paths]
    often = Counter(bases)
    return [base if often[base] == 1 else path for base, path in zip(bases, paths, strict=True)]
