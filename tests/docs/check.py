"""Checks what the pages show, and runs none of it: `python -m tests.docs.check`, which `make lint` calls.

Every block that can be run bears a mark (tests.docs.pages has their form), a test that a mark names is there and takes
the commands from the page, every `xray` command has the options that it is shown with, every verb of make and every
script is there, and every link between files leads somewhere.
"""

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

from tests.docs.pages import PROJECT, RUNNABLE, Block, blocks, pages, prose
from xray.errors import XrayError

QUOTED = "quoted from "
"""Begins the reason of a block that is no command but stands in a file as it is shown."""
PROGRAMS = {"xray", "make", "prefect", "mlflow", "dask", "pip", "python", "curl", "export", "git"}
SHOWN = re.compile(r"`((?:xray|make|python|\.venv/bin/python) [^`]+)`")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
REFUSED: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> int:
    """Print what is wrong, a line each.

    Returns:
        How the process ends: 0 where nothing is wrong, else 1.
    """
    faults = [*(fault for page in pages() for fault in faults_of(page)), *unnamed_tests(), *examples()]
    linked = ["CHANGELOG.md", *(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("docs/decisions/*.md"))]
    faults += [fault for page in linked for fault in dead_links(page)]
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return int(bool(faults))


def faults_of(page: str) -> Iterator[str]:
    """Find what is wrong with a page: its blocks, the commands in its prose, its links."""
    for block in blocks(page):
        where = f"{page}:{block.line}"
        yield from (f"{where}: {fault}" for fault in dict.fromkeys(_marking(block)))
        if block.language in RUNNABLE - {"python"}:
            yield from (f"{where}: {fault}" for command in block.commands for fault in faults_in(command))
    for number, line in enumerate(prose(page).splitlines(), 1):
        for command in SHOWN.findall(line):
            yield from (f"{page}:{number}: {fault}" for fault in faults_in(command, whole=False))
    yield from dead_links(page)


def _marking(block: Block) -> Iterator[str]:
    if block.language not in RUNNABLE:
        first = block.text.split(maxsplit=1)[0] if block.text.strip() else ""
        if not block.language:
            yield "a block must name its language, such as text. Received: ```"
        elif block.language == "text" and first in PROGRAMS:
            yield f"a block of commands must be sh. Received: text, beginning with {first}"
        return
    for command in block.commands:
        mark = block.mark(command)
        if mark is None:
            first = command.splitlines()[0]
            yield f"a command must be run by a test or marked as not run, with the reason. Received: {first}"
        elif mark.runs:
            yield from _claim(mark.by, command)
        elif mark.by.startswith(QUOTED):
            text = (PROJECT / mark.by.removeprefix(QUOTED)).read_text(encoding="utf-8")
            if block.text not in text:
                yield f"a quotation must stand in its file. Received: {mark.by}"
    for mark in block.marks:
        if not any(block.mark(command) is mark for command in block.commands):
            yield f"a mark must be of a command. Received: {mark}"


def _claim(by: str, command: str) -> Iterator[str]:
    if by == ".ci/run":
        asked = set(shlex.split(command, comments=True)[1:])
        if not command.startswith("make ") or not asked <= set(re.findall(r"^make (.+)$", _text(by), re.MULTILINE)):
            yield f"{by} must run the command. Received: {command}"
        return
    file, _, test = by.partition("::")
    if test not in takers(file):
        yield f"a mark must name a test that takes `documented`, as FILE::TEST. Received: {by}"


@cache
def takers(file: str) -> set[str]:
    """Name the tests of a file that take the commands which the pages say they run."""
    if not (PROJECT / file).is_file():
        return set()
    functions = [each for each in ast.walk(ast.parse(_text(file))) if isinstance(each, ast.FunctionDef)]
    return {
        each.name
        for each in functions
        if each.name.startswith("test_") and "documented" in {argument.arg for argument in each.args.args}
    }


def unnamed_tests() -> Iterator[str]:
    """Find the tests that would take the commands of pages, and that no page names."""
    named = {mark.by for page in pages() for block in blocks(page) for mark in block.marks if mark.runs}
    for path in sorted((PROJECT / "tests" / "system").glob("test_*.py")):
        file = path.relative_to(PROJECT).as_posix()
        for test in sorted(takers(file)):
            if f"{file}::{test}" not in named:
                yield f"{file}: a test that takes `documented` must be named by a page. Received: {test}"


def faults_in(command: str, whole: bool = True) -> Iterator[str]:
    """Find what a command names that is not there.

    Args:
        command: As a page shows it.
        whole: Whether it has all of its arguments; in a sentence it may be named alone.
    """
    words = shlex.split(command, comments=True)
    while words and (words[0] == "export" or re.match(r"\w+=", words[0])):
        words = words[1:]
    program, arguments = (words[0].rpartition("/")[2], words[1:]) if words else ("", [])
    if program == "xray":
        yield from _refused(arguments, whole)
    elif program == "make":
        verbs = set(re.findall(r"^([\w-]+):", _text("Makefile"), re.MULTILINE))
        names = {word.partition("=")[0] for word in arguments}
        variables = {name for name in names if re.search(rf"\$[({{]?{name}\b|\$\({name}\)", _text("Makefile"))}
        yield from (f"make must have the verb or the variable {name}" for name in sorted(names - verbs - variables))
    elif program == "python" and not arguments[0].startswith("-") and not (PROJECT / arguments[0]).exists():
        yield f"a script must be there. Received: {arguments[0]}"


def _refused(arguments: list[str], whole: bool) -> Iterator[str]:
    from xray.config import load_config

    group = commands()
    said = f"Received: xray {shlex.join(arguments)}"
    if not arguments[0].startswith("-") and arguments[0] not in group.commands:
        yield f"the command must be there. {said}"
        return
    if len(arguments) == 1 and not whole:
        return
    try:
        with group.make_context("xray", list(arguments)) as context:
            name, command, rest = group.resolve_command(context, list(arguments))
            given = command.make_context(name, list(rest), parent=context).params
        recipe = given.get("recipe", "default")
        if {"--recipe", "--set"} & set(rest) and not recipe.endswith(".toml"):  # a file of the reader's own
            load_config(recipe, [each for each in given["settings"] or [] if not each.endswith(".toml")])
    except typer.Exit:  # of an option such as --help
        return
    except (REFUSED, XrayError) as error:
        message = getattr(error, "format_message", error.__str__)()
        yield f"the command must take what it is given: {message} {said}"


@cache
def commands() -> Any:
    """The `xray` command, which has all of its commands once flows.cli is loaded."""
    import flows.cli  # noqa: F401
    from flows.commands.app import app

    return typer.main.get_command(app)


def examples() -> Iterator[str]:
    """Find what is wrong with the examples below the help of each command."""
    for name, command in commands().commands.items():
        (shown,) = re.findall(r"\[bold\](.+)\[/bold\]", command.epilog)
        yield from (f"xray {name} --help: {fault}" for fault in faults_in(shown))


def dead_links(page: str) -> Iterator[str]:
    """Find the links of a page, to files and to their headings, that lead nowhere."""
    for number, line in enumerate(prose(page).splitlines(), 1):
        for address, heading in LINK.findall(line):
            target = ((PROJECT / page).parent / address) if address else PROJECT / page
            if not target.exists():
                yield f"{page}:{number}: a link must lead to a file. Received: {address}"
            elif heading and heading not in headings(target.resolve().relative_to(PROJECT).as_posix()):
                yield f"{page}:{number}: a link must lead to a heading. Received: {address}#{heading}"


@cache
def headings(page: str) -> set[str]:
    """Give the names by which GitHub links to the headings of a page."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@cache
def _text(file: str) -> str:
    return (PROJECT / file).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
