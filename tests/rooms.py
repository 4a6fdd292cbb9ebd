"""What `make lint` holds of the rooms: their size, their first line, no import by a string, and where their tests lie.

`python -m tests.rooms` prints every fault, and ends with 1 where there is one.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = ("flows", "tasks", "xray")
MOST_FILES = 14

IMPORTERS = {"import_module", "__import__"}
KEPT_MODELS = Path("xray/scoring/model_process_main.py")
"""Imports by the names that the code of a kept model has, which ours need not have."""


def main() -> int:
    """Print the faults of this checkout."""
    found = faults(ROOT)
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    return int(bool(found))


def faults(root: Path) -> list[str]:
    """List what is wrong with the rooms below a folder, a line each."""
    return [
        fault
        for floor in FLOORS
        for fault in (*_of_floor(root, root / floor), *_of_tests(root, root / "tests" / floor))
    ]


def _of_floor(root: Path, floor: Path) -> Iterator[str]:
    for init in sorted(floor.rglob("__init__.py")):
        room = init.parent
        files = [path for path in room.glob("*.py") if path != init]
        if len(files) > MOST_FILES:
            yield f"{room.relative_to(root)} must hold at most {MOST_FILES} files. Received: {len(files)}"
        if not ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))):
            yield f"{init.relative_to(root)} must begin with a line that says what is in the room"
    for path in sorted(floor.rglob("*.py")):
        if not (path.parent / "__init__.py").is_file():
            yield f"{path.parent.relative_to(root)} must have an __init__.py"
        if path.relative_to(root) != KEPT_MODELS:
            yield from _string_imports(root, path)


def _of_tests(root: Path, tests: Path) -> Iterator[str]:
    for path in sorted(tests.rglob("test_*.py")):
        source = root / path.parent.relative_to(root / "tests") / path.name.removeprefix("test_")
        if not source.is_file():
            yield f"{path.relative_to(root)} must lie where its file does. Received: no {source.relative_to(root)}"


def _string_imports(root: Path, path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in IMPORTERS:
            yield f"{path.relative_to(root)}:{node.lineno} must import by a statement, which mypy checks"


if __name__ == "__main__":
    sys.exit(main())
