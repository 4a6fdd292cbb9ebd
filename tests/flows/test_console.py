"""What the command shows: our log lines as they come, and tables that never break their first column."""

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from flows import console as screen
from tasks.progress import doing, watcher


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Reads what the command's console has written, at 40 columns."""
    monkeypatch.setattr(screen.console, "_width", 40)
    return lambda: capsys.readouterr().out


def test_our_log_lines_are_shown_whole_and_as_they_are(shown: Callable[[], str]) -> None:
    line = "a path in [brackets] that is far longer than forty columns: /data/pixels/0123456789abcdef"
    with screen.watching():
        logging.getLogger("xray.data.store.fill_pixel_store").info(line)
    assert shown().splitlines()[0].endswith(line)


def test_other_libraries_lines_are_not_shown(shown: Callable[[], str]) -> None:
    with screen.watching():
        logging.getLogger("another.library").error("a remark")
    assert "a remark" not in shown()


def test_after_the_block_nobody_watches_any_more(shown: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="failed"), screen.watching():
        assert watcher.get() is not None
        raise ValueError("failed")
    assert watcher.get() is None
    logging.getLogger("xray").info("too late")
    assert "too late" not in shown()


def test_what_a_task_counts_leaves_no_bar_behind_where_there_is_no_terminal(shown: Callable[[], str]) -> None:
    with screen.watching():
        watch = watcher.get()
        assert watch is not None
        for done in range(4):
            watch("epochs", done, 3)
    assert shown() == ""


def test_what_lasts_is_told_in_a_pipe_while_it_lasts(shown: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    printed = screen.console.print

    def print_and_tell(*words: Any, **settings: Any) -> None:
        printed(*words, **settings)
        told.set()

    monkeypatch.setattr(screen, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(screen.console, "print", print_and_tell)
    with screen.working(nullcontext()), doing("evaluating"):
        assert told.wait(timeout=30)
    assert "evaluating" in shown()


def test_a_terminal_shows_what_is_done_and_how_far_it_is_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    terminal = Console(file=written, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(screen, "console", terminal)
    with screen.watching(), doing("inspecting") as now:
        watch = watcher.get()
        assert watch is not None
        now("maps")
        watch("scans", 3, 8)
    frames = written.getvalue().splitlines()  # the last one is drawn when the block ends
    assert any("inspecting: maps" in line and " s" in line for line in frames)
    assert any("scans" in line and "3/8" in line for line in frames)
    assert max(len(line) for line in frames) <= 100, "with what moves the cursor"


class TestPlain:
    """Times are given, not waited for."""

    def test_what_is_over_soon_is_not_told(self) -> None:
        plain = screen.LineProgress(0.0)
        plain.watch("auditing", 0, None, now=0.0)
        assert plain.line(1.9) is None
        plain.watch("auditing", 1, 1, now=1.95)
        assert plain.line(50.0) is None

    def test_what_lasts_is_told_once_and_then_now_and_again(self) -> None:
        plain = screen.LineProgress(0.0)
        plain.watch("evaluating", 0, None, now=0.0)
        assert [plain.line(at) for at in (2.0, 3.0, 16.0)] == ["evaluating", None, None]
        assert plain.line(17.0) == "evaluating, for 17 s"
        assert plain.line(18.0) is None

    def test_what_is_counted_says_how_far_it_is(self) -> None:
        plain = screen.LineProgress(0.0)
        plain.watch("scans", 0, 4000, now=0.0)
        plain.watch("scans", 1200, 4000, now=2.5)
        assert plain.line(2.5) == "scans: 1,200 of 4,000"

    def test_another_line_is_as_good_as_ours(self) -> None:
        plain = screen.LineProgress(0.0)
        plain.watch("fold 0, seed 0 (1 of 5)", 0, None, now=0.0)
        assert plain.line(2.0) == "fold 0, seed 0 (1 of 5)"
        plain.printed(15.0)
        assert plain.line(20.0) is None
        assert plain.line(30.0) == "fold 0, seed 0 (1 of 5), for 30 s"

    def test_a_thing_that_begins_again_is_told_again(self) -> None:
        plain = screen.LineProgress(0.0)
        for begun in (0.0, 10.0):
            plain.watch("epochs", 0, 8, now=begun)
            assert plain.line(begun + 2.0) == "epochs: 0 of 8"
            plain.watch("epochs", 8, 8, now=begun + 3.0)


def test_a_table_keeps_its_first_column_on_one_line(shown: Callable[[], str]) -> None:
    screen.show_table("Audit", ("finding", "value"), [("patients in both splits", "a long value " * 5)])
    text = shown()
    assert text.splitlines()[0].strip() == "Audit"
    assert "patients in both splits" in text


def test_a_table_cell_with_brackets_is_shown_as_it_is(shown: Callable[[], str]) -> None:
    screen.show_table("Left out", ("reason", "file"), [("unreadable", "scan [1].png"), ("no-file", "[/bold].png")])
    text = shown()
    assert "scan [1].png" in text
    assert "[/bold].png" in text


def test_a_table_cell_has_its_own_lines_and_nothing_else_that_acts_on_a_terminal(shown: Callable[[], str]) -> None:
    screen.show_table("Runs", ("run", "recipe"), [("quick-1234\nbelow \x1b[31m5678", "quick")])
    first, second = shown().splitlines()[-3:-1]
    assert "quick-1234 " in first and "quick " in first
    assert "below \\x1b[31m5678" in second


def test_a_table_in_a_pipe_breaks_no_line(shown: Callable[[], str]) -> None:
    cells = [f"0.{number}23 (0.1 to 0.9)" for number in range(9)]
    screen.show_table("Runs", ["run", *"abcdefgh"], [cells])
    assert any(all(cell in line for cell in cells) for line in shown().splitlines())


Terminal = Callable[[int], Callable[[], list[str]]]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Makes the command's console a terminal of so many columns, and reads the lines that it has written."""

    def of(width: int) -> Callable[[], list[str]]:
        written = StringIO()
        console = Console(file=written, force_terminal=True, width=width, color_system=None, highlight=False)
        monkeypatch.setattr(screen, "console", console)
        return lambda: written.getvalue().splitlines()

    return of


@pytest.mark.parametrize("width", [40, 80, 100, 160])
def test_a_broad_table_on_a_terminal_breaks_no_figure_and_no_line(terminal: Terminal, width: int) -> None:
    lines = terminal(width)
    names = ["run", "data", "status", "auc", "accuracy", "sensitivity", "specificity"]
    rows = [
        ["a-run\n0123abcd", "phantoms", "finished 2026-11-26 01:37", *[f"0.{row}{number}3" for number in range(4)]]
        for row in range(3)
    ]
    screen.show_table("Runs", names, rows)
    text = "\n".join(lines())
    assert max(map(len, lines())) <= width
    for row in rows:
        assert all(cell in text for cell in row[1:2] + row[3:])
    assert text.count("sensitivity") == (1 if width >= 100 else 3), "each figure beside its name"


@pytest.mark.parametrize("width", range(60, 101, 4))
def test_a_table_of_few_columns_breaks_its_cells_rather_than_its_lines(terminal: Terminal, width: int) -> None:
    lines = terminal(width)
    row = ("configuration", "evaluation.threshold", "youden", "sensitivity>=0.98")
    screen.show_table("What differs", ("", "", "quick-d493f591 (062ed1ba)", "quick-e06f2e48 (5cf6580d)"), [row])
    assert max(map(len, lines())) <= width
    assert all(any(cell in line for line in lines()) for cell in row)
