"""Files and folders appear whole or not at all, and what a dead process left of them is swept."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xray.files import atomic
from xray.files.atomic import ABANDONED_SECONDS, clear_drafts, sweep, whole_file, whole_folder

LEAVES_DRAFTS = """
import os, sys
from pathlib import Path
from xray.files.atomic import whole_file, whole_folder
with whole_file(Path(sys.argv[1]) / "a.json") as file, whole_folder(Path(sys.argv[1]) / "b") as folder:
    file.write_text("half")
    (folder / "part").write_text("half")
    print("written", flush=True)
    sys.stdin.read()
    os._exit(9)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has swept nothing yet."""
    monkeypatch.setattr(atomic, "_swept", set())


class TestWhole:
    def test_a_file_takes_its_place_at_the_end_of_the_block(self, tmp_path: Path) -> None:
        target = tmp_path / "model.keras"
        target.write_text("before")
        with whole_file(target) as draft:
            assert draft.suffix == target.suffix
            draft.write_text("after")
            assert target.read_text() == "before"
        assert target.read_text() == "after"
        assert names(tmp_path) == ["model.keras"]

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    def test_what_fails_leaves_what_was_there_and_nothing_else(self, tmp_path: Path, error: BaseException) -> None:
        (tmp_path / "a").write_text("before")
        for whole in (whole_file, whole_folder):
            with pytest.raises(type(error)), whole(tmp_path / "a") as draft:
                if draft.is_dir():
                    (draft / "part").write_text("half")
                else:
                    draft.write_text("half")
                raise error
        assert names(tmp_path) == ["a"]
        assert (tmp_path / "a").read_text() == "before"

    def test_it_is_on_the_disk_before_it_bears_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file without its content under the final name is what a power cut leaves otherwise."""
        synced: list[tuple[str, list[str]]] = []
        fsync = os.fsync

        def record(handle: int) -> None:
            name = Path(f"/proc/self/fd/{handle}").readlink().name
            synced.append((name, [each for each in names(tmp_path) if not each.startswith(".")]))
            fsync(handle)

        monkeypatch.setattr(os, "fsync", record)
        with whole_file(tmp_path / "file") as draft:
            draft.write_text("x")
        with whole_folder(tmp_path / "folder") as draft:
            (draft / "part").write_text("x")
        (file, before), (parent, after), (part, _), (folder, still), (again, at_last) = synced
        assert file.startswith(".file.tmp-")
        assert (before, parent, after) == ([], tmp_path.name, ["file"])
        assert part == "part"
        assert folder.startswith(".folder.tmp-")
        assert (still, again, at_last) == (["file"], tmp_path.name, ["file", "folder"])


class TestSweep:
    def test_what_a_living_process_writes_stays_until_it_is_dead(self, tmp_path: Path, fresh: None) -> None:
        command = [sys.executable, "-c", LEAVES_DRAFTS, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "written\n"
            sweep(tmp_path)
            assert len(names(tmp_path)) == 2
            writer.communicate("")
        atomic._swept.clear()
        (tmp_path / "scan.png").touch()
        with whole_file(tmp_path / "next") as draft:  # the next command that writes there
            draft.touch()
        assert names(tmp_path) == ["next", "scan.png"]

    def test_a_number_that_was_given_again_is_another_process(self, tmp_path: Path, fresh: None) -> None:
        with whole_file(tmp_path / "a") as mine:
            mine.touch()
            pid, born, place = mine.name.rpartition("tmp-")[2].split("-")
            other = tmp_path / f".a.tmp-{pid}-{int(born) - 60_000}-{place}"
            other.touch()
            atomic._swept.clear()
            sweep(tmp_path)
            assert (mine.exists(), other.exists()) == (True, False)

    @pytest.mark.parametrize(
        "name", [".a.tmp-1-1700000000000-0badcafe", "0123456789abcdef.tmp-99", "evaluation-0123456789abcdef.tmp-99"]
    )
    def test_of_another_machine_or_version_only_what_nobody_touched_for_a_day(
        self, tmp_path: Path, fresh: None, name: str
    ) -> None:
        draft = tmp_path / name
        draft.mkdir()
        (draft / "part").touch()
        long_ago = time.time() - ABANDONED_SECONDS - 60
        os.utime(draft, (long_ago, long_ago))
        sweep(tmp_path)
        assert draft.exists()  # its writer added to it just now
        os.utime(draft / "part", (long_ago, long_ago))
        atomic._swept.clear()
        sweep(tmp_path)
        assert not draft.exists()

    def test_nothing_else_is_touched_however_old(self, tmp_path: Path, fresh: None) -> None:
        kept = ["report.tmp-12345", "scan.tmp", ".hidden", "a.tmp-1-2-notaplace", "0123456789abcdef"]
        for name in kept:
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (0, 0))
        sweep(tmp_path)
        clear_drafts(tmp_path)
        assert names(tmp_path) == sorted(kept)
