"""What the pages show: their fenced blocks, the commands in them, and the marks that say which test runs each.

A mark is a comment right above a fence, which no page shows:

    <!-- run: tests/system/test_walk.py::test_it_trains -->   that test runs the block's commands
    <!-- run: .ci/run -->                                      CI does
    <!-- not run: needs Kaggle's servers -->                   nobody does, and why
    <!-- not run "imagenet": needs Keras's servers -->         the same for the commands that have the words

The words are a regular expression.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
RUNNABLE = {"sh", "bash", "console", "python"}
"""Languages whose blocks are run; one that shows what is printed or written in a file has another."""

FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>.*)")
MARK = re.compile(r'<!-- (?P<runs>run|not run)(?: "(?P<words>[^"]+)")?: (?P<by>.+?) -->')


@dataclass(frozen=True)
class Mark:
    """What is said of a block.

    Attributes:
        runs: Whether it is run.
        words: A pattern in the commands that it is said of; None for all that no other mark is said of.
        by: The test that runs them, or the reason that none does.
    """

    runs: bool
    words: str | None
    by: str


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Its page, as a path in the project.
        line: The number of the fence's line, from 1.
        language: The word after the fence.
        text: What stands between the fences.
        marks: What the comments above it say.
    """

    page: str
    line: int
    language: str
    text: str
    marks: tuple[Mark, ...]

    @property
    def commands(self) -> list[str]:
        """Its commands, each in one line and without a comment; a block of another language than a shell's is one."""
        if self.language not in {"sh", "bash", "console"}:
            return [self.text]
        joined = self.text.replace("\\\n", " ").splitlines()
        commands = [re.sub(r"(^|\s+)# .*", "", line).strip() for line in joined]
        return [command for command in commands if command]

    def mark(self, command: str) -> Mark | None:
        """Give what is said of a command."""
        named = [mark for mark in self.marks if mark.words is not None and re.search(mark.words, command)]
        return next(iter([*named, *(mark for mark in self.marks if mark.words is None)]), None)


@dataclass(frozen=True)
class Shown:
    """A command as a page shows it.

    Attributes:
        language: Of its block.
        text: One line of a shell, or a whole block of another language.
    """

    language: str
    text: str


def pages() -> list[str]:
    """The pages whose blocks are marked, as paths in the project."""
    found = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
    return [path.relative_to(PROJECT).as_posix() for path in found]


def blocks(page: str) -> list[Block]:
    """Read the fenced blocks of a page."""
    return list(_blocks(page, (PROJECT / page).read_text(encoding="utf-8").splitlines()))


def prose(page: str) -> str:
    """Read a page without its fenced blocks, with as many lines as it has."""
    lines = (PROJECT / page).read_text(encoding="utf-8").splitlines()
    for block in _blocks(page, lines):
        last = block.line + block.text.count("\n")
        lines[block.line - 1 : last + 1] = [""] * (last + 2 - block.line)
    return "\n".join(lines)


def commands_of(test: str) -> list[Shown]:
    """Give the commands that a test is said to run, in the order of the pages.

    Args:
        test: Its file and its name, `tests/system/test_walk.py::test_it_trains`.
    """
    return [
        Shown(block.language, command)
        for page in pages()
        for block in blocks(page)
        for command in block.commands
        if (mark := block.mark(command)) and mark.runs and mark.by == test
    ]


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    marks: list[Mark] = []
    opened: tuple[int, re.Match[str]] | None = None
    for number, line in enumerate(lines):
        if opened is not None:
            first, fence = opened
            if line.strip() == fence["fence"]:
                text = "".join(f"{each.removeprefix(fence['indent'])}\n" for each in lines[first + 1 : number])
                yield Block(page, first + 1, fence["language"].strip(), text, tuple(marks))
                opened, marks = None, []
        elif said := MARK.fullmatch(line.strip()):
            marks.append(Mark(said["runs"] == "run", said["words"], said["by"]))
        elif found := FENCE.fullmatch(line):
            opened = number, found
        else:
            marks = []
