"""What becomes of a home when something goes wrong in it: commands killed at any moment, files damaged one by one.

`python benchmarks/faults.py kill` kills commands and first starts; `damage` in its place damages files of a home. What
goes wrong is drawn by `--seed`. Both print a row for each fault, and end with 1 if one of them is not well.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import faults_damage
import faults_kill
from rich.console import Console
from rich.table import Table
from side_by_side import SIZES, machine, workplace

Faults = Callable[[Path, int, int], Iterator["faults_damage.Row | faults_kill.Row"]]
KINDS: dict[str, tuple[Faults, tuple[int, int, int], str]] = {
    "damage": (faults_damage.damaged, (10, 100, 10_000), "damages: nothing lost, no traceback, whole at the next pass"),
    "kill": (faults_kill.killed, (3, 100, 1000), "kills: nothing lost, no traceback, no process left"),
}
"""By the command's name: what makes the rows of a work folder, a number and a seed; how many by `--size`; the sum."""


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, room in (("damage", faults_damage), ("kill", faults_kill)):
        about = room.__doc__ or ""
        kind = kinds.add_parser(
            name, help=about.splitlines()[0], description=about, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        kind.add_argument(
            "--size", choices=SIZES, default="usual", help="how many: {}, {} or {}".format(*KINDS[name][1])
        )
        kind.add_argument("--number", type=int, help="so many, whatever the size")
        kind.add_argument("--seed", type=int, default=0, help="draws them")
        kind.add_argument("--work", type=Path, help="a folder for the homes; else one that is removed")
        kind.add_argument("--rows", type=Path, help="write the rows here as JSON and print nothing")
    chosen = parser.parse_args()
    faults, numbers, what = KINDS[chosen.kind]
    described = machine()
    with workplace(chosen.work) as work:
        number = chosen.number or numbers[SIZES.index(chosen.size)]
        rows = []
        for row in faults(work, number, chosen.seed):
            sys.stderr.write(
                f"{len(rows) + 1} of {number}: {', '.join(row.cells()[:3])}: {'' if row.well else 'NOT '}well\n"
            )
            rows.append(row)
    well = sum(row.well for row in rows)
    if chosen.rows:
        chosen.rows.write_text(json.dumps([{**asdict(row), "well": row.well} for row in rows]), encoding="utf-8")
    else:
        _show(rows, [f"{well} of {len(rows)} {what}", *described])
    sys.exit(0 if well == len(rows) else 1)


def _show(rows: list["faults_damage.Row | faults_kill.Row"], below: list[str]) -> None:
    table = Table(*(type(rows[0]).COLUMNS if rows else ()))
    for row in rows:
        table.add_row(*row.cells())
    console = Console()
    console = console if console.is_terminal else Console(width=200)
    console.print(table)
    for line in below:
        console.print(line, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
