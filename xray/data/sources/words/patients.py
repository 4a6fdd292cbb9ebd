"""The patient of a scan where no column says it: by a pattern of one's own, or by names that are known."""

import re
from collections.abc import Iterable, Sequence

from xray.data.sources.table_file import value
from xray.data.sources.words.patient_ids import FOREIGN, patient_ids, source_of

KNOWN = {
    "NIH ChestX-ray14": re.compile(r"(?:^|/)(\d{8})_\d{3}(?:\.\w+)?$"),
    "CheXpert": re.compile(r"(?:^|/)(patient\d+)/"),
    "MIMIC-CXR": re.compile(r"(?:^|/)(p\d{8})/"),
    # The number alone: bacterial and viral scans of one child are one child's.
    "Kermany": re.compile(r"(?:^|/)(?:BACTERIA|VIRUS|NORMAL)-(\d+)-\d+(?:\.\w+)?$"),
}
"""Public sets whose file names contain the patient."""

ENOUGH = 0.95
"""The share of the scans whose names a rule must know to count as theirs."""

NEARLY_ALL_ALONE = 0.95
"""The share of patients with a single scan from which on a rule is doubted."""
FEWEST = 20


def patients_of(paths: Sequence[str], pattern: str = "") -> tuple[list[str], list[str]]:
    """Name the patient of each scan.

    Args:
        paths: n posix paths.
        pattern: A regular expression that is searched in each path; its first group with a value is the patient.

    Returns:
        n patients, empty where there is no telling, and notes: which rule was used, and a doubt about it.
    """
    if pattern:
        return _by("dataset.toml's patient_pattern", [_first(re.compile(pattern), path) for path in paths])
    for name, known in KNOWN.items():
        patients = [_first(known, path) for path in paths]
        if paths and sum(map(bool, patients)) >= ENOUGH * len(paths):
            return _by(f"the file names of {name}", patients)
    series = [source_of(path) != FOREIGN for path in paths]
    if paths and sum(series) >= ENOUGH * len(paths):
        return _by("the file names of Kermany", patient_ids([path.rpartition("/")[2] for path in paths], "merged"))
    return [""] * len(paths), []


def column_of_patients(cells: Iterable[str], column: str) -> tuple[list[str], list[str]]:
    """Take each scan's patient from a table's column.

    Args:
        cells: Of the column, one a scan.
        column: Its name.
    """
    return _by(f"the column {column}", [value(cell) for cell in cells])


def doubted(patients: Sequence[str], rule: str) -> list[str]:
    """Say in a note that nearly every scan is a patient of its own, which a rule that reads too much makes of them."""
    several = len(set(patients))
    if len(patients) < FEWEST or several < NEARLY_ALL_ALONE * len(patients):
        return []
    return [f"by {rule} {several:,} of {len(patients):,} scans are a patient of their own: check that this is so"]


def _by(rule: str, patients: list[str]) -> tuple[list[str], list[str]]:
    notes = [f"patients by {rule}: {len(set(filter(None, patients))):,} of {len(patients):,} scans"]
    if missing := patients.count(""):
        notes.append(f"{missing:,} scans have no patient by {rule}")
    return patients, notes + doubted([patient for patient in patients if patient], rule)


def _first(pattern: re.Pattern[str], path: str) -> str:
    found = pattern.search(path)
    return "" if found is None else next(filter(None, found.groups()), "")
