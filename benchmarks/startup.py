"""What does it cost to start? Ours: `xray --help` and `import flows.pipeline`; rival: Prefect's own command and import.

Each run is a process of its own. Run `python benchmarks/startup.py`.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import side_by_side
from side_by_side import Options, Row, alternate, answer, timed

PROJECT = Path(__file__).parent.parent
SCRIPTS = Path(sys.executable).parent
HEAVY = "print(*sorted({'tensorflow', 'keras', 'mlflow'} & set(sys.modules)))"


def main() -> None:
    """Measure and print."""
    side_by_side.run(measure, side_by_side.parser(__doc__).parse_args())


def measure(options: Options) -> list[Row]:
    """Time both starts, and look for libraries that should not be loaded."""
    rounds = options.rounds * options.pick(1, 2, 5)
    commands = {name: _child(options, [str(SCRIPTS / program), "--help"]) for name, program in _PROGRAMS.items()}
    imports = {name: _child(options, [sys.executable, "-c", f"import {module}"]) for name, module in _MODULES.items()}
    for start in (*commands.values(), *imports.values()):
        start()  # compiles what was never imported, and brings files into memory
    asked, imported = alternate(commands, rounds), alternate(imports, rounds)
    look = [sys.executable, "-c", f"import sys, flows.pipeline; {HEAVY}"]
    loaded = subprocess.run(look, **_place(options), check=True, capture_output=True, text=True).stdout.split()
    heavy = f"loads {', '.join(loaded)}" if loaded else "loads neither TensorFlow nor Keras nor MLflow"
    best = f"best round {min(asked['ours']):.2f} s"
    return [
        answer("xray --help; prefect --help", asked["ours"], asked["rival"], "0.5 s", best),
        answer("import flows.pipeline; import prefect", imported["ours"], imported["rival"], "0.67 x", heavy),
    ]


_PROGRAMS = {"ours": "xray", "rival": "prefect"}
_MODULES = {"ours": "flows.pipeline", "rival": "prefect"}


def _child(options: Options, command: list[str]) -> Callable[[], float]:
    return lambda: timed(lambda: subprocess.run(command, **_place(options), check=True, stdout=subprocess.DEVNULL))


def _place(options: Options) -> dict:
    quiet = {"PREFECT_HOME": str(options.work / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    return {"cwd": PROJECT, "env": os.environ | quiet | {"DO_NOT_TRACK": "true"}}


if __name__ == "__main__":
    main()
