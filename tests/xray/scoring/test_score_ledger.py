"""Scores are kept once, whatever happens in between, and by one run at a time."""

import hashlib
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xray.errors import StoreError
from xray.scoring.score_ledger import REJECTS, SCORES, Entry, opened, unlogged


def scan(name: str, version: str = "m/1", digest: str | None = None) -> dict[str, Any]:
    about = {"image": f"{name}.png", "sha256": name, "model_version": version, "scored_at": datetime.now(UTC)}
    return {**about, "model_digest": digest, "p_pneumonia": 0.5, "decision": "pneumonia", "threshold": 0.4}


def reject(name: str, sha256: str | None, version: str = "m/1") -> dict[str, Any]:
    about = {"image": f"{name}.png", "sha256": sha256, "model_version": version, "scored_at": datetime.now(UTC)}
    return {**about, "reason": "not-an-image", "detail": "a page"}


def written(folder: Path, *rows: dict[str, Any]) -> Entry:
    with opened(folder) as ledger:
        for row in rows:
            ledger.add([row])
        entry = ledger.join()
    assert entry is not None
    return entry


def test_scores_and_rejects_are_two_files_of_a_settled_form(tmp_path: Path) -> None:
    entry = written(tmp_path, scan("a"), reject("b", "b"), scan("c"))
    scores, rejects = pq.read_table(entry.scores), pq.read_table(entry.rejects)
    assert (scores.schema, rejects.schema) == (SCORES, REJECTS)
    assert scores.column("sha256").to_pylist() == ["a", "c"]
    assert rejects.column("reason").to_pylist() == ["not-an-image"]
    assert (entry.scans, entry.rejected, entry.version) == (2, 1, "m/1")


def test_there_is_no_file_for_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        assert ledger.join() is None
    assert not written(tmp_path, scan("a")).rejects.exists()
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_known_is_what_any_version_or_one_has_seen(tmp_path: Path) -> None:
    written(tmp_path, scan("a"), reject("b", "b"), reject("unread", None))
    written(tmp_path, scan("c", "m/2"))
    with opened(tmp_path) as ledger:
        asked = ["a", "b", "unread", "unread.png", "c", "c.png", "d", "a"]
        assert ledger.known(asked) == {"a", "b", "unread.png", "c"}
        assert ledger.known(asked, "m/2") == {"c"}
        assert ledger.known(asked, model="m") == {"a", "b", "unread.png", "c"}
        assert ledger.known(asked, model="mm") == set(), "another model answers another question"
        assert ledger.known([]) == set()


def test_nothing_is_known_where_nothing_was_scored(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        assert ledger.known(["a"]) == set()


def test_a_long_history_is_asked_without_becoming_python_s(tmp_path: Path) -> None:
    for number in range(40):
        digests = [hashlib.sha256(f"{number} {row}".encode()).hexdigest() for row in range(1000)]
        rows = {name: [None] * len(digests) for name in SCORES.names} | {"image": digests, "sha256": digests}
        pq.write_table(pa.table(rows, SCORES), tmp_path / f"scores-{number:02d}.parquet")
    with opened(tmp_path) as ledger:
        tracemalloc.start()
        try:
            assert ledger.known([digests[-1], "new"]) == {digests[-1]}
            assert tracemalloc.get_traced_memory()[1] < 2_000_000, "40,000 digests as str and in a set take 7 MB"
        finally:
            tracemalloc.stop()


def test_what_another_model_saw_under_the_same_number_is_not_known(tmp_path: Path) -> None:
    entry = written(tmp_path, scan("a", digest="first"), scan("b", digest="second"), scan("c"))
    assert (entry.version, entry.digest) == ("m/1", None)
    with opened(tmp_path) as ledger:
        assert ledger.known("abc", "m/1", "second") == {"b", "c"}
        assert ledger.known("abc", "m/1") == ledger.known("abc") == {"a", "b", "c"}


def test_a_ledger_that_is_older_than_digests_is_read_and_gone_on_with(tmp_path: Path) -> None:
    entry = written(tmp_path, scan("a"), reject("b", "b"))
    for path in (entry.scores, entry.rejects):
        pq.write_table(pq.read_table(path).drop_columns(["model_digest"]), path)
    part = tmp_path / ".unfinished" / "20260101T000000Z-cut" / "part-000000.parquet"
    part.parent.mkdir(parents=True)
    rows = pq.read_table(entry.scores)
    for name in ("reason", "detail"):
        rows = rows.append_column(name, pa.nulls(1, pa.string()))
    pq.write_table(rows, part)
    assert (entry.version, entry.digest) == ("m/1", None)
    with opened(tmp_path) as ledger:
        assert ledger.known("ab", "m/1", "a digest") == {"a", "b"}
        joined = ledger.join()
    assert joined is not None and pq.read_table(joined.scores).schema == SCORES


def test_what_a_killed_run_finished_is_known_and_joined_by_the_next(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.add([scan("a"), scan("b")])
        name = ledger.name
    assert list(tmp_path.glob("*.parquet")) == []
    with opened(tmp_path) as ledger:
        assert (ledger.name, ledger.adopted, ledger.known("abc")) == (name, 2, {"a", "b"})
        ledger.add([scan("c")])
        entry = ledger.join()
    assert entry is not None
    assert pq.read_table(entry.scores).column("sha256").to_pylist() == ["a", "b", "c"]


def test_killed_between_joining_and_clearing_nothing_is_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with opened(tmp_path) as ledger:
        ledger.add([scan("a")])
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "rename", killed)
            ledger.join()
    assert len(list(tmp_path.glob("scores-*.parquet"))) == 1
    written(tmp_path, scan("b"))
    (scores,) = tmp_path.glob("scores-*.parquet")
    assert pq.read_table(scores).column("sha256").to_pylist() == ["a", "b"]


def test_a_second_run_says_in_one_line_that_there_is_a_first(tmp_path: Path) -> None:
    one_line = r"^only one run at a time can write scores. Received: [^\n]+$"
    with opened(tmp_path), pytest.raises(StoreError, match=one_line), opened(tmp_path):
        pass


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "scores-x.parquet").write_bytes(b"no Parquet")
    with opened(tmp_path) as ledger, pytest.raises(StoreError, match=r"scores-x\.parquet must be a file of scores"):
        ledger.known(["a"])


def test_a_run_is_unlogged_until_it_is_marked(tmp_path: Path) -> None:
    first, second = written(tmp_path, scan("a")), written(tmp_path, reject("b", "b"))
    assert {entry.name for entry in unlogged(tmp_path)} == {first.name, second.name}
    first.mark_logged("0123")
    assert [(entry.name, entry.scans, entry.rejected) for entry in unlogged(tmp_path)] == [(second.name, 0, 1)]


class TestDamaged:
    def test_a_file_is_set_aside_and_its_scans_are_new_again(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        first, second = written(tmp_path, scan("a"), scan("b")), written(tmp_path, scan("c"))
        first.scores.write_bytes(first.scores.read_bytes()[:-9])
        with opened(tmp_path) as ledger:
            assert ledger.known("abc") == {"c"}
        assert first.scores.with_name(f"{first.scores.name}.damaged").is_file()
        assert caplog.messages[0].startswith(f"{first.scores} is damaged and was renamed to ")
        assert [entry.name for entry in unlogged(tmp_path)] == [second.name]

    def test_no_flipped_bit_makes_a_scan_known_that_was_not_or_ends_in_a_traceback(self, tmp_path: Path) -> None:
        names = {f"{number:064x}" for number in range(50)}
        others = {f"{number:064x}" for number in range(50, 300)}  # a bit apart from one that is known, many of them
        with opened(tmp_path) as ledger:
            for part in (sorted(names)[:25], sorted(names)[25:]):  # two row groups; fifty would be alike, and take long
                ledger.add(list(map(scan, part)))
            entry = ledger.join()
        assert entry is not None
        content, seen = entry.scores.read_bytes(), []
        for at in range(0, len(content), 7):
            entry.scores.write_bytes(content[:at] + bytes([content[at] ^ 2]) + content[at + 1 :])
            with opened(tmp_path) as ledger:
                seen.append(ledger.known(names | others))
        assert all(each <= names for each in seen)
        assert set() in seen
        assert names in seen

    def test_so_is_a_part_of_a_run_that_was_killed(self, tmp_path: Path) -> None:
        with opened(tmp_path) as ledger:
            ledger.add([scan("a")])
            ledger.add([scan("b")])
        (part, _) = sorted(tmp_path.glob(".unfinished/*/part-*"))
        part.write_bytes(b"")
        with opened(tmp_path) as ledger:
            assert (ledger.adopted, ledger.known("ab")) == (1, {"b"})
            ledger.add([scan("a")])
            entry = ledger.join()
        assert entry is not None
        assert entry.scans == 2
