"""New scans of an inbox scored by one model version, into a ledger."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from xray.config import Workspace, digest_of
from xray.data.file_digests import forget
from xray.data.sources.file_listing import printable
from xray.executors import OpenCluster
from xray.labels import NORMAL, REFER, finding_in, p_column
from xray.progress import Progress
from xray.scoring.cluster_pool import scores_on_cluster
from xray.scoring.inbox import Inbox
from xray.scoring.local_pool import fetched, scores
from xray.scoring.log_to_mlflow import digest_of_version, fetch_reference
from xray.scoring.score_ledger import Entry, Ledger, opened
from xray.scoring.select_model import SelectedModel

log = logging.getLogger(__name__)

SCANS_A_PART = 256
"""Scans that a kill may cost, which are then scored again."""


@dataclass(frozen=True)
class Scored:
    """What a run over an inbox did.

    Attributes:
        entry: Its files in the ledger; None where nothing was new.
        found: Files in the inbox; of those with the same bytes, one at most is new.
        new: Files among them that were scored or rejected now.
        adopted: Rows that an earlier, killed run had finished.
        version: The model version, `NAME/VERSION`.
    """

    entry: Entry | None
    found: int
    new: int
    adopted: int
    version: str

    def rows(self) -> list[dict[str, str]]:
        """Give the counts as a table, in words: a row a count, the scores' by what the model decided."""
        scans, rejected = (self.entry.scans, self.entry.rejected) if self.entry else (0, 0)
        counts = {
            "files in the inbox": self.found,
            "new": self.new,
            "not new: scored before, or a copy of another file": self.found - self.new,
            "finished by an earlier run": self.adopted,
            "scored": scans,
            **self._decided(),
            "rejected": rejected,
        }
        return [{"what": what, "number": f"{count:,}"} for what, count in counts.items()]

    def _decided(self) -> dict[str, int]:
        if self.entry is None or not self.entry.scans:
            return {}
        scores = pd.read_parquet(self.entry.scores)
        found = scores["decision"].value_counts()
        words = {name: f"called {name}" for name in (finding_in(scores.columns), NORMAL)} | {
            REFER: "referred to a person"
        }
        return {f"  {said}": int(found.get(decision, 0)) for decision, said in words.items()}


def score_inbox(
    workspace: Workspace,
    choice: SelectedModel,
    inbox: Inbox,
    output: Path,
    rescore: bool = False,
    progress: Progress | None = None,
    cluster: OpenCluster | None = None,
) -> Scored:
    """Score what is new in an inbox, and write it into the ledger.

    New is what no version of this model has seen, by the digest of its bytes: a file that was renamed or delivered
    twice is not scored again. A file that changes between its digest and its score is left for the next run.

    Args:
        workspace: Where MLflow's store lies.
        choice: The model version.
        inbox: What lies there.
        output: The ledger's folder.
        rescore: Take what this version has not seen, whatever other versions have.
        progress: Called with (files done, of how many).
        cluster: Has the scans scored elsewhere, by workers that find the inbox and the home under the same paths.

    Raises:
        StoreError: Another run writes to the ledger, or it cannot be written.
        RegistryError: The store cannot be reached, or a scoring process could not load the model or died. What was
            finished is kept.
    """
    version = choice.uri.removeprefix("models:/")
    digest = digest_of_version(workspace, version)
    with opened(output) as ledger:
        adopted = ledger.adopted
        names = [*inbox.digests.values(), *map(printable, inbox.refused)]
        model = version.rpartition("/")[0]
        known = ledger.known(names, version, digest) if rescore else ledger.known(names, model=model)
        paths = _new(inbox.digests, known)
        refused = {path: reason for path, reason in inbox.refused.items() if printable(path) not in known}
        if refused:
            ledger.add(_row(path, None, {"error": reason}, version, digest) for path, reason in refused.items())
        fetch_reference(workspace, version, digest, output)
        changed: list[str] = []
        if paths:
            files = [inbox.folder / path for path in paths]
            with _batches(workspace, choice, files, output, cluster) as batches:
                rows = _rows(inbox, paths, batches, changed, progress)
                _keep(ledger, (_row(path, answer["sha256"], answer, version, digest) for path, answer in rows))
        if changed:
            forget(inbox.folder, workspace.digest_index)
        if adopted:
            log.info("%d rows of an unfinished run are kept", adopted)
        entry = ledger.join()
    return Scored(entry, len(inbox.digests) + len(inbox.refused), len(paths) + len(refused), adopted, version)


def _new(digests: Mapping[str, str], known: set[str]) -> list[str]:
    first: dict[str, str] = {}
    for path, digest in digests.items():
        first.setdefault(digest, path)
    return [path for digest, path in first.items() if digest not in known]


@contextmanager
def _batches(
    workspace: Workspace, choice: SelectedModel, files: list[Path], output: Path, cluster: OpenCluster | None
) -> Iterator[Iterator[pd.DataFrame]]:
    """Have the model where those that score find it, and its answers, a batch of files at a time and in their order."""
    # One run at a time writes to a ledger, so nobody else uses the folder that is named by it.
    lent = workspace.shared_models / digest_of(str(output.resolve())) if cluster else None
    with (
        fetched(workspace, choice.uri, lent) as model,
        closing(scores_on_cluster(model, files, cluster) if cluster else scores(model, files)) as batches,
    ):
        yield batches


def _rows(
    inbox: Inbox,
    paths: list[str],
    batches: Iterator[pd.DataFrame],
    changed: list[str],
    progress: Progress | None,
) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Give each path and its answer; a path whose file is not the one that was digested goes into `changed`."""
    done = 0
    for batch in batches:
        for path, answer in zip(paths[done : done + len(batch)], batch.to_dict("records"), strict=True):
            if answer["sha256"] == inbox.digests[path]:
                yield path, answer
            else:
                changed.append(path)
                log.warning("a file changed during scoring, and is left for the next run")
        done += len(batch)
        if progress is not None:
            progress(done, len(paths))


def _keep(ledger: Ledger, rows: Iterable[dict[str, Any]]) -> None:
    waiting: list[dict[str, Any]] = []
    try:
        for row in rows:
            waiting.append(row)
            if len(waiting) >= SCANS_A_PART:
                ledger.add(waiting)
                waiting = []
    finally:
        if waiting:
            ledger.add(waiting)


def _row(path: str, sha256: str | None, answer: Mapping[str, Any], version: str, digest: str | None) -> dict[str, Any]:
    by = {"model_version": version, "model_digest": digest, "scored_at": datetime.now(UTC)}
    row = {"image": printable(path), "sha256": sha256, **by}
    if answer["error"] is not None:
        reason, _, detail = str(answer["error"]).partition(": ")
        return {**row, "reason": reason, "detail": detail}
    return {**row, **{name: answer[name] for name in (p_column(finding_in(answer)), "decision", "threshold")}}
