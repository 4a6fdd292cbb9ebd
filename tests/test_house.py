"""House rules that no linter holds: what lies in the repository, and what the locks say."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
BANNED_NAMES = {"utils", "helpers", "common", "misc"}
MOST_BYTES = 1_000_000
MOST_LINES = 400


def tracked() -> list[Path]:
    """The files that Git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("this is no Git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_is_larger_than_a_megabyte() -> None:
    assert [str(path) for path in tracked() if path.stat().st_size > MOST_BYTES] == []


def test_every_file_is_named_for_what_it_holds() -> None:
    assert [str(path) for path in tracked() if path.suffix == ".py" and path.stem in BANNED_NAMES] == []


def test_no_source_file_is_longer_than_400_lines() -> None:
    sources = [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] != "tests"]
    assert [str(path) for path in sources if len(path.read_text().splitlines()) > MOST_LINES] == []


def test_no_scan_and_no_model_is_tracked() -> None:
    kinds = {".jpeg", ".jpg", ".tif", ".tiff", ".dcm", ".parquet", ".keras", ".h5", ".db"}
    assert [str(path) for path in tracked() if path.suffix.lower() in kinds] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
class TestLock:
    def test_names_no_index_no_host_and_no_folder(self, lock: Path) -> None:
        lines = lock.read_text().splitlines()
        named = [
            line
            for line in lines
            if re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|@ |/root|/home", line)
        ]
        assert named == []

    def test_pins_and_hashes_every_requirement(self, lock: Path) -> None:
        text = re.sub(r"^\s*#.*$\n?", "", lock.read_text(), flags=re.MULTILINE)
        requirements = text.replace("\\\n", " ").splitlines()
        loose = [line for line in requirements if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]
        assert requirements
        assert loose == []


def test_the_gpu_lock_holds_what_the_other_holds_and_adds_cuda() -> None:
    pins = {lock.stem: set(re.findall(r"^[\w.-]+==\S+", lock.read_text(), re.MULTILINE)) for lock in LOCKS}
    added = pins["gpu"] - pins["dev"]
    assert pins["dev"] <= pins["gpu"]
    assert added
    assert all(pin.startswith("nvidia-") for pin in added)


def test_the_locks_satisfy_what_the_project_asks_for() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    extras = project["project"]["optional-dependencies"]
    asked += [requirement for name in ("download", "dask") for requirement in extras[name]]
    text = (ROOT / "requirements" / "dev.txt").read_text()
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE):
        pins.setdefault(name, []).append(version)
    for requirement in map(Requirement, asked):
        assert requirement.name in pins
        assert all(requirement.specifier.contains(version) for version in pins[requirement.name])
