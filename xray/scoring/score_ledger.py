"""The ledger of scored scans: a folder of Parquet files, one of scores and one of rejects a run, never changed later.

A run writes what it has finished as parts below a hidden folder that bears the run's name, and joins them at its end.
Files are named by that name, so that joining them again, after a kill in between, writes the same files once more: no
scan is lost and none is there twice. A run that finds an unfinished one goes on under its name.
"""

import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xray.errors import DamagedError, StoreError
from xray.files.atomic import clear_drafts, whole_file
from xray.files.checked_io import reading, set_aside, writing
from xray.files.lock import locked
from xray.labels import PNEUMONIA, is_probability, p_column

PARTS, JOINED, LOGGED = ".unfinished", ".joined", ".logged"
KINDS = ("scores", "rejects")
DIGEST = "model_digest"
_ABOUT = [("image", pa.string()), ("sha256", pa.string())]
_BY = [("model_version", pa.string()), (DIGEST, pa.string()), ("scored_at", pa.timestamp("us", tz="UTC"))]


def scores_schema(columns: Iterable[str]) -> pa.Schema:
    """Say what a file of scores holds: a row a scan, its path in the inbox, the digest of its bytes, and by what, when.

    Args:
        columns: `p_FINDING`, 0 to 1; several where an unfinished run of another model's was gone on with.
    """
    decided = [("decision", pa.string()), ("threshold", pa.float64())]
    return pa.schema([*_ABOUT, *((name, pa.float64()) for name in columns), *decided, *_BY])


SCORES = scores_schema([p_column(PNEUMONIA)])
"""What a file of scores of a pneumonia model holds.

`model_digest` names the content of the version, whose number another model may be given after a deletion; it is null
where that is not known, and missing in files that are older than it.
"""
REJECTS = pa.schema([*_ABOUT, ("reason", pa.string()), ("detail", pa.string()), *_BY])
"""A row a file that is no scan; `sha256` is null where the file could not be read."""

_OURS = re.compile(r"part-\d+\.parquet|(scores|rejects)-\d{8}T\d{6}Z-[0-9a-f]{8}\.parquet")
"""What a run of ours calls its files; a file of another hand is left where it is, and named."""


def _part_schema(scores: Iterable[str]) -> pa.Schema:
    return pa.unify_schemas([scores_schema(scores), REJECTS])


@dataclass(frozen=True)
class Entry:
    """A finished run in the ledger.

    Attributes:
        name: UTC time of its first start and some letters, which its files bear.
        folder: The ledger.
        scans: Rows of `scores-NAME.parquet`; there is no such file where it is 0.
        rejected: Rows of `rejects-NAME.parquet`, likewise.
    """

    name: str
    folder: Path
    scans: int
    rejected: int

    @property
    def scores(self) -> Path:
        """The scores' file."""
        return self.folder / f"scores-{self.name}.parquet"

    @property
    def rejects(self) -> Path:
        """The rejects' file."""
        return self.folder / f"rejects-{self.name}.parquet"

    @property
    def version(self) -> str:
        """The model version that it ended with, `NAME/VERSION`."""
        return str(self._by()["model_version"])

    @property
    def digest(self) -> str | None:
        """The content of that version, where it is known."""
        return self._by()[DIGEST]

    def _by(self) -> dict[str, str | None]:
        rows = _read(self.scores if self.scans else self.rejects, ["model_version", DIGEST])
        last: dict[str, str | None] = rows.slice(len(rows) - 1).to_pylist()[0]
        return last

    def mark_logged(self, run_id: str) -> None:
        """Remember the MLflow run that tells of it.

        Raises:
            StoreError: That could not be written.
        """
        with writing(self.folder):
            (self.folder / LOGGED).mkdir(exist_ok=True)
            with whole_file(self.folder / LOGGED / self.name) as draft:
                draft.write_text(run_id, encoding="utf-8")


def unlogged(folder: Path) -> list[Entry]:
    """List the finished runs of a ledger that no MLflow run tells of yet, the oldest first.

    Raises:
        StoreError: A file of the ledger cannot be read.
    """
    names = {path.stem.partition("-")[2] for path in finished(folder)}
    return [_entry(folder, name) for name in sorted(names) if not (folder / LOGGED / name).exists()]


def finished(folder: Path) -> list[Path]:
    """List the files of a ledger's finished runs."""
    return [path for kind in KINDS for path in folder.glob(f"{kind}-*.parquet")]


class Ledger:
    """The ledger while a run has it to itself; see `opened`."""

    def __init__(self, folder: Path) -> None:
        """Find what an earlier run left unfinished."""
        self.folder = folder
        for place in (folder, folder / LOGGED):
            clear_drafts(place)
        for draft in folder.glob(".*.parquet.tmp-*"):  # as earlier versions named them
            draft.unlink(missing_ok=True)
        for joined in (folder / PARTS).glob(f"*{JOINED}"):
            shutil.rmtree(joined)
        unfinished = sorted(path for path in (folder / PARTS).glob("*") if path.is_dir())
        self.name = unfinished[0].name if unfinished else _new_name()
        self.adopted = sum(len(rows) for rows in _whole_ones(self._parts(), _part_schema([]).names))

    def known(
        self, names: Iterable[str], version: str | None = None, digest: str | None = None, model: str | None = None
    ) -> set[str]:
        """Choose what needs no scoring any more; the ledger's own names are compared in Arrow, never made Python's.

        Args:
            names: Digests of scans and rejects, and paths of unreadable files as the ledger writes them.
            version: Only what this model version has seen; None counts every version.
            digest: The version's content: what another model has seen under the same number does not count.
            model: Only what versions of this registered model have seen: another one answers another question.

        Raises:
            StoreError: A file is none of ours, or the disk does not give it. One that is damaged is set aside, and its
                scans are not known.
        """
        asked, found = pa.array(names, pa.string()), set()
        wanted = ["image", "sha256", "model_version", DIGEST]
        for table in _whole_ones([*finished(self.folder), *self._parts()], wanted):
            name = pc.coalesce(table["sha256"], table["image"])
            chosen = pc.is_in(name, asked)
            if version is not None:
                chosen = pc.and_(chosen, pc.equal(table["model_version"], version))
            if model is not None:
                chosen = pc.and_(chosen, pc.starts_with(table["model_version"], f"{model}/"))
            if digest is not None:
                chosen = pc.and_(chosen, pc.fill_null(pc.equal(table[DIGEST], digest), True))
            found |= set(name.filter(chosen).to_pylist())
        return found

    def add(self, rows: Iterable[dict]) -> None:
        """Keep rows of scores or rejects, at once and whole.

        Raises:
            StoreError: They could not be written.
        """
        kept = list(rows)
        scores = dict.fromkeys(name for row in kept for name in row if is_probability(name))
        table = pa.Table.from_pylist(kept, schema=_part_schema(scores))
        place = self.folder / PARTS / self.name
        with writing(self.folder):
            place.mkdir(parents=True, exist_ok=True)
            last = int(self._parts()[-1].stem.partition("-")[2]) if self._parts() else -1
            with whole_file(place / f"part-{last + 1:06d}.parquet") as draft:
                pq.write_table(table, draft, write_page_checksum=True)

    def join(self) -> Entry | None:
        """Make the parts this run's two files; None where there is no part.

        Raises:
            StoreError: They could not be written; the parts stay.
        """
        parts = self._parts()
        if not parts:
            return None
        with writing(self.folder):
            draft = Entry(self.name, self.folder, 0, 0)
            scores = {
                name: None for part in reversed(parts) for name in pq.read_schema(part).names if is_probability(name)
            }
            _join(parts, draft.scores, scores_schema(scores), rejects=False)
            _join(parts, draft.rejects, REJECTS, rejects=True)
            place = parts[0].parent
            gone = place.with_name(place.name + JOINED)  # in one step, for half of the parts would replace the whole
            place.rename(gone)
            shutil.rmtree(gone)
        return _entry(self.folder, self.name)

    def _parts(self) -> list[Path]:
        return sorted((self.folder / PARTS / self.name).glob("part-*.parquet"))


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Have a ledger to oneself for as long as the block lasts.

    Args:
        folder: The ledger; made if it does not exist.

    Raises:
        StoreError: Another run has it, or it cannot be written.
    """
    taken = StoreError(f"only one run at a time can write scores. Received: another one writes to {folder}")
    with ExitStack() as held:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder / ".lock", taken))
        yield Ledger(folder)


def _join(parts: list[Path], target: Path, schema: pa.Schema, rejects: bool) -> None:
    count = 0
    with whole_file(target) as draft:
        with pq.ParquetWriter(draft, schema, write_page_checksum=True) as writer:
            for part in parts:
                table = _read(part, list(dict.fromkeys([*schema.names, "reason"])))
                is_reject = pc.is_valid(table.column("reason"))
                chosen = table.filter(is_reject if rejects else pc.invert(is_reject)).select(schema.names)
                writer.write_table(chosen.cast(schema))
                count += len(chosen)
        if not count:
            draft.unlink()


def _entry(folder: Path, name: str) -> Entry:
    paths = [folder / f"{kind}-{name}.parquet" for kind in KINDS]
    scans, rejected = (len(_read(path, ["image"])) if path.exists() else 0 for path in paths)
    return Entry(name, folder, scans, rejected)


def _read(path: Path, columns: list[str]) -> pa.Table:
    """Read columns of a file; one that is older than digests has none, nor one of another finding its score."""
    with reading(path):
        try:
            written = pq.read_schema(path).names
            asked = [name for name in columns if name in written or not (name == DIGEST or is_probability(name))]
            table = pq.read_table(path, columns=asked, page_checksum_verification=True)
        except (pa.ArrowException, MemoryError) as error:  # a damaged footer may ask for any number of bytes
            raise ValueError(str(error)) from error
        if table.column_names != asked:
            raise ValueError(f"columns {', '.join(columns)} must be there")
        for name in columns:
            if name not in asked:
                kind = pa.float64() if is_probability(name) else pa.string()
                table = table.append_column(name, pa.nulls(len(table), kind))
        return table.select(columns)


def _whole_ones(paths: Iterable[Path], columns: list[str]) -> Iterator[pa.Table]:
    """Read files one after the other; one that is damaged is set aside, so that its scans count as new."""
    for path in paths:
        try:
            yield _read(path, columns)
        except DamagedError as damage:
            if not _OURS.fullmatch(path.name):
                raise StoreError(f"{path} must be a file of scores or rejects. Received: {damage.reason}") from damage
            set_aside(path, damage.reason, "its scans are scored again if they are still in the inbox")


def _new_name() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
