"""In which order the files of tests are taken: those marked `long` first, or all in an order that a seed gives.

What takes long starts first, so that all cores are done at about the same time. `--shuffle SEED` finds a test that
leans on another one; the same seed gives the same order again, in each of xdist's processes, too.
"""

import random
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("xray").addoption(
        "--shuffle", type=int, metavar="SEED", help="take the files, and the tests of each, in an order of this seed"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("shuffle")
    return None if seed is None else f"order: --shuffle {seed}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    order = sorted(files, key=lambda path: -_longest(files[path]))  # the others stay where they are
    seed = config.getoption("shuffle")
    if seed is not None:
        generator = random.Random(seed)
        generator.shuffle(order)
        for tests in files.values():
            generator.shuffle(tests)
    items[:] = [item for path in order for item in files[path]]


def _longest(tests: list[pytest.Item]) -> float:
    """Give the seconds of the file's mark `long`, 0 without one."""
    return max((float(mark.args[0]) for item in tests if (mark := item.get_closest_marker("long"))), default=0.0)
