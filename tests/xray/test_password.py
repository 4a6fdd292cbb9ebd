"""The password of a home: one for all that begin at once, and readable by its owner alone at any time."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from xray.errors import XrayError
from xray.password import kept_password, made_password, password_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_there_is_none_and_nothing_is_made_until_a_server_starts(tmp_path: Path) -> None:
    assert kept_password(tmp_path / "home") is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        password = made_password(tmp_path)
    finally:
        os.umask(before)
    assert made_password(tmp_path) == kept_password(tmp_path) == password
    user, _, secret = password.partition(":")
    assert user == "xray"
    assert len(secret) >= 32
    assert mode(password_file(tmp_path)) == 0o600
    assert mode(password_file(tmp_path).parent) == 0o700


def test_each_home_has_its_own(tmp_path: Path) -> None:
    assert made_password(tmp_path / "one") != made_password(tmp_path / "two")


def test_all_that_begin_at_once_get_the_same(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from xray.password import made_password as made; print(made(Path()))"
    )

    def begin(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True
        ).stdout.decode()

    environment = os.environ.get("PYTHONPATH")
    with ThreadPoolExecutor(4) as pool, pytest.MonkeyPatch.context() as patch:
        root = str(Path(__file__).parents[2])
        patch.setenv("PYTHONPATH", root if environment is None else f"{root}{os.pathsep}{environment}")
        found = set(pool.map(begin, range(4)))
    assert found == {f"{kept_password(tmp_path)}\n"}


@pytest.mark.parametrize("damaged", ["", "\0\0\0\0", "no colon", "two\nlines:of it"])
def test_a_file_that_holds_none_is_made_anew(tmp_path: Path, damaged: str) -> None:
    made_password(tmp_path)
    password_file(tmp_path).write_text(damaged)
    assert kept_password(tmp_path) is None
    assert made_password(tmp_path) == kept_password(tmp_path)


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    password = made_password(tmp_path)
    password_file(tmp_path).chmod(0o644)
    assert made_password(tmp_path) == password
    assert mode(password_file(tmp_path)) == 0o600


def test_a_home_that_cannot_keep_it_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(XrayError, match=f"--home must be a writable folder. Received: {tmp_path / 'home'}"):
        made_password(tmp_path / "home")
