"""A lock has one holder, and what another one hears is the caller's choice."""

from pathlib import Path

import pytest

from xray.errors import TrainingError, is_transient
from xray.files.lock import locked

TAKEN = TrainingError("one at a time. Received: in use")


def test_whoever_comes_second_is_refused_at_once_and_no_retry_helps(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", TAKEN) as held:
        assert held
        with pytest.raises(TrainingError, match="one at a time") as refused, locked(tmp_path / "lock", TAKEN):
            raise AssertionError("the block must not run")
    assert not is_transient(refused.value)
    assert refused.value.__cause__ is None


def test_it_is_free_again_after_the_block_also_after_one_that_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock", TAKEN):
        raise KeyError
    with locked(tmp_path / "lock", TAKEN) as held:
        assert held


def test_without_a_refusal_the_block_is_told_that_another_holds_it(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), locked(tmp_path / "lock") as held:
        assert not held


def test_who_waits_is_told_once_and_then_holds_it(tmp_path: Path) -> None:
    told = []
    first = locked(tmp_path / "lock")
    first.__enter__()

    def waiting() -> None:
        told.append("waiting")
        first.__exit__(None, None, None)

    with locked(tmp_path / "lock", waiting=waiting) as held:
        assert held
    assert told == ["waiting"]


def test_a_folder_that_cannot_be_written_is_the_systems_word(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file" / "lock", TAKEN):
        raise AssertionError("the block must not run")
