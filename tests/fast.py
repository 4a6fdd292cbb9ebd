"""`--fast`: the tests for the loop at one's desk, which load no TensorFlow, Keras or MLflow and start no server.

Nobody keeps a list of them. A file whose imports load one of the three is left out; so is a test that asks for a
fixture of `COSTLY`, or is marked `slow` or `system`. One that gets through and loads one of the three after all fails,
and says what to do.
"""

import importlib.abc
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

HEAVY = frozenset({"tensorflow", "keras", "mlflow"})
COSTLY = frozenset({"prefect_server", "s3_port", "trained", "network", "migrated"})
"""Fixtures that start a server, train, make a network or MLflow's database; whatever rests on them is left out, too."""


class HeavyError(BaseException):
    """A heavy library was to be loaded. No `except Exception` on the way hides that."""


class _Refusal(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the heavy libraries, for whoever only looks whether they are there, and loads none."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in HEAVY else None

    def exec_module(self, module: ModuleType) -> None:
        raise HeavyError(f"a fast test must not load {module.__name__}: mark it `slow`")


class _File(pytest.Module):
    """A test file, which has no fast test if its imports load something heavy."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except HeavyError:
            return []


class _Fast:
    """What `--fast` changes of a run."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        return _File.from_parent(parent, path=module_path)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left_out = [item for item in items if _asks_for_more(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _asks_for_more(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("slow", "system"))
    return marked or not COSTLY.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("xray").addoption(
        "--fast", action="store_true", help="only tests that load no TensorFlow, Keras or MLflow and start no server"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("fast"):
        return
    if loaded := HEAVY.intersection(sys.modules):
        raise pytest.UsageError(f"--fast must come before {', '.join(sorted(loaded))}: a conftest.py loads it")
    # A flow that is called without a server of its tests fails, rather than start one.
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"
    sys.meta_path.insert(0, _Refusal())
    config.pluginmanager.register(_Fast())
