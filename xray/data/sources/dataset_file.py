"""`dataset.toml`: which column is what, which words mean what label, how to tell a patient, what to leave out."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from xray.config_schema import Section, requirement
from xray.data.sources.words.label_words import LEAVE_OUT, canonical
from xray.errors import DataError, by_cause
from xray.files.atomic import whole_file
from xray.files.checked_io import writing
from xray.files.s3 import DataPath, S3Path
from xray.labels import CAUSE_OF_SUBTYPE
from xray.recipe_files import nearest
from xray.scheme_files import NAMED, is_name

DATASET_FILE = "dataset.toml"
LAYOUTS = Path(__file__).parent / "layouts"


def _listed(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
"""A column's name, or several of which a table has one."""


class Columns(Section):
    """Which column of the table is what. A column that is not named here is found by its usual names."""

    file: Names = Field(("file_name", "file", "filename", "path", "image", "image_id"), description="File of the scan.")
    label: Names = Field(("label", "finding", "class", "diagnosis", "finding labels"), description="Finding.")
    patient: Names = Field(("patient", "patient_id", "patient id", "patientid", "subject_id"), description="Patient.")
    split: Names = Field(("split", "dataset_type"), description="Official split: train, validation or test.")
    cause: Names = Field(("cause", "subtype"), description="Cause of a pneumonia.")
    view: Names = Field(("view", "view position", "projection"), description="View: PA, AP or lateral.")
    sex: Names = Field(("sex", "gender"), description="Sex of the patient.")
    age: Names = Field(("age", "patient_age"), description="Age of the patient in years.")
    site: Names = Field(("site", "hospital"), description="Where the scan was made.")
    date: Names = Field(("date", "study_date"), description="When the scan was made.")
    findings: dict[str, str] = Field({}, description="Finding to its own column of 1, 0, -1 and empty.")


class Exclude(Section):
    """What to leave out, besides scans whose label is."""

    views: tuple[str, ...] = Field(("lateral",), description="Views to leave out.")
    younger_than: float = Field(0, ge=0, le=150, description="Leave out patients below this age, in years.")


class Dataset(Section):
    """How a folder of scans is read."""

    layout: str = Field("", description="A shipped layout that this file changes.")
    name: str = Field("", description="The source, as tables and slices name it.")
    table: str = Field("", description="CSV or Parquet file beside the scans; none reads folders named by class.")
    scans: str = Field("", description="Folder that the table's file names begin in.")
    separator: str = Field("", max_length=8, description="What stands between the findings of one cell.")
    columns: Columns = Columns()
    labels: dict[str, tuple[str, ...]] = Field(
        {}, description="Label, or cause of a pneumonia, to its words; leave_out to the others."
    )
    patient_pattern: str = Field("", description="Regular expression whose group is the patient, in a scan's path.")
    exclude: Exclude = Exclude()
    private: bool | None = Field(None, description="Name scans and patients by digests; DICOM is private unless false.")

    def asks_for(self, column: str) -> bool:
        """Whether the folder's own file names a column, so that a table without it is refused."""
        name = self.layout or self.name
        shipped = shipped_layout(name).columns if name in layout_names() else Columns()
        return bool(getattr(self.columns, column) != getattr(shipped, column))

    @field_validator("patient_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise PydanticCustomError("pattern", "must be a regular expression ({why})", {"why": str(error)}) from error
        if pattern and groups == 0:
            raise PydanticCustomError("pattern", "must have a group, in parentheses, that is the patient")
        return pattern

    @field_validator("scans")
    @classmethod
    def _below(cls, folder: str) -> str:
        if folder.startswith("/") or ".." in folder.split("/"):
            raise PydanticCustomError("scans", "must be a folder below the data folder")
        return "" if folder == "." else folder.strip("/")

    @field_validator("labels")
    @classmethod
    def _known(cls, labels: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if odd := [name for name in labels if name != LEAVE_OUT and not is_name(name)]:
            words = {"named": NAMED, "known": ", ".join(CAUSE_OF_SUBTYPE), "odd": odd[0]}
            raise PydanticCustomError("labels", "must be {named}, such as {known}, not {odd}", words)
        counted = Counter(canonical(word) for listed in labels.values() for word in listed)
        twice = [word for word, count in counted.items() if count > 1]
        if twice:
            raise PydanticCustomError("labels", "must list each word once, not {word}", {"word": twice[0]})
        return labels


def layout_names() -> list[str]:
    """List the shipped layouts, in alphabetical order."""
    return sorted(path.stem for path in LAYOUTS.glob("*.toml"))


@cache
def shipped_layout(name: str) -> Dataset:
    """Read a shipped layout.

    Raises:
        DataError: There is none of this name.
    """
    return _validated(_values_of_layout(name, name), LAYOUTS / f"{name}.toml")


def read_dataset_file(folder: DataPath) -> Dataset | None:
    """Read the folder's `dataset.toml`, over the layout that it names; None where there is none.

    Raises:
        DataError: It cannot be read, is no TOML, or says what it may not.
        S3Error: The server cannot be reached or refuses.
    """
    path = folder / DATASET_FILE
    try:
        own = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise by_cause(DataError, f"{path} must be readable. Received: {error.strerror}", error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be TOML. Received: {error}") from error
    layout = own.get("layout", "")
    return _validated(_over(_values_of_layout(str(layout), str(path)) if layout else {}, own), path)


def write_dataset_file(folder: DataPath, text: str) -> None:
    """Write a `dataset.toml` into a folder on disk that has none.

    Raises:
        DataError: The folder has one, or lies at a server.
        StoreError: It could not be written.
    """
    if isinstance(folder, S3Path) or (folder / DATASET_FILE).exists():
        raise DataError(f"{DATASET_FILE} is written into a folder on disk that has none. Received: {folder}")
    with writing(folder / DATASET_FILE), whole_file(folder / DATASET_FILE) as draft:
        draft.write_text(text, encoding="utf-8")


def _values_of_layout(name: str, asked_by: str) -> dict[str, Any]:
    if name not in layout_names():
        raise DataError(f"{asked_by}: layout must be one of {', '.join(layout_names())}. Received: {name}")
    return tomllib.loads((LAYOUTS / f"{name}.toml").read_text(encoding="utf-8"))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        both[key] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both


def _validated(values: Mapping[str, Any], path: DataPath) -> Dataset:
    try:
        return Dataset.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            parts = {"columns": Columns.model_fields, "exclude": Exclude.model_fields}
            near = nearest(str(first["loc"][-1]), list(parts.get(str(first["loc"][0]), Dataset.model_fields)))
            raise DataError(f"{path} must have only known keys{near}. Received: {key}") from error
        words = requirement(first)
        raise DataError(f"{path}: {key} {words}. Received: {first['input']!r}") from error


def column_in(header: Sequence[str], names: Sequence[str]) -> str | None:
    """Find the table's column of one of these names; upper and lower case make no difference."""
    folded = {name.casefold(): name for name in reversed(header)}
    return next((folded[name.casefold()] for name in names if name.casefold() in folded), None)
