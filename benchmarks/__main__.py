"""Every question of this folder answered in one table: ours against a rival, and the machine. It fails nothing.

Run `make bench`, or `python benchmarks` with `--size`, `--rounds` and `--data`. Each script runs alone, too.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from side_by_side import Row, data_folder, machine, parser, show, workplace

SCRIPTS = ("normalize", "dicom", "feed", "train_step", "score", "hostile", "rerun", "startup", "growth", "cluster")
WITH_DATA = ("time_to_auc",)
"""What needs real scans, and more than ten minutes."""


def main() -> None:
    """Run the scripts one after the other, and print their rows together."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="+", choices=SCRIPTS + WITH_DATA, help="these scripts alone")
    chosen = arguments.parse_args()
    names = chosen.only or SCRIPTS + (WITH_DATA if data_folder(chosen.data) else ())
    described, rows, failures = machine(), [], []
    console = Console(stderr=True)
    with workplace(chosen.work) as work:
        for name in names:
            console.print(f"{name} …", style="dim")
            found = _rows(name, chosen, work)
            if isinstance(found, str):
                failures.append(f"{name} gave no answer: {found}")
            else:
                rows += found
    if chosen.rows:
        chosen.rows.write_text(json.dumps([vars(row) for row in rows]), encoding="utf-8")
    else:
        show(rows, [*described, *failures])


def _rows(name: str, chosen: argparse.Namespace, work: Path) -> list[Row] | str:
    """Run a script in a process of its own: its rows, or its last words."""
    answers, data = work / f"{name}.json", data_folder(chosen.data)
    command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), "--size", chosen.size]
    command += ["--rounds", str(chosen.rounds), "--work", str(work), "--rows", str(answers)]
    command += ["--data", str(data)] if data else []
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode or not answers.is_file():
        return (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]
    return [Row(**row) for row in json.loads(answers.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    main()
