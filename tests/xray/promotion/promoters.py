"""Real processes that promote, all at once or to their death: one imports everything and forks the others."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from mlflow import MlflowClient

from xray.config import Workspace
from xray.tracking.store import store_of

NAME = "xray-test"

WRITES = (
    "create_run",
    "log_batch",
    "log_dict",
    "set_registered_model_alias",
    "set_model_version_tag",
    "delete_registered_model_alias",
    "log_param",
    "set_tag",
    "set_terminated",
)
"""Every way in which a promotion writes to the store."""

PROMOTER = """
import gc, json, os, signal, sys, time
from pathlib import Path
from mlflow import MlflowClient
from xray.config import Workspace
from xray.promotion.decision_log import DecisionLog
from xray.promotion.decision_record import PROMOTE, PROMOTED, PlannedDecision
from xray.promotion.protocol import carry_out, reconcile_log

def dying(name, when):
    write = getattr(MlflowClient, name)
    def call(*arguments, **options):
        if when == "after":
            write(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(MlflowClient, name, call)

def promote(plan):
    decisions = DecisionLog(Workspace(home=Path(plan["home"])), plan["name"])
    decisions.champion()  # connected
    if plan["gate"]:
        Path(f"{plan['gate']}-{os.getpid()}").touch()
    if plan["kill"]:
        dying(*plan["kill"])
    while plan["gate"] and not Path(plan["gate"]).exists():
        time.sleep(0.0005)
    if plan["after"] is None:
        reconcile_log(decisions)
        return
    planned = PlannedDecision(PROMOTE, PROMOTED, plan["number"], plan["before"], plan["after"], "a test")
    carry_out(decisions, planned, lambda decision: decisions.describe(decision, {"looks": 1.0}, {"a": "b"}))

gc.freeze()  # what is imported is shared with the children and stays
children = []
for plan in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            promote(plan)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    if plan["gate"]:
        children.append(child)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
if children:
    while not all(Path(f"{plan['gate']}-{child}").exists() for child in children):
        time.sleep(0.01)
    Path(plan["gate"]).touch()
for child in children:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def plan(workspace: Workspace, after: str | None, **changes: Any) -> dict[str, Any]:
    """Plan the promotion of a version, the first of its model; with no version, a mere settling."""
    facts = {"home": str(workspace.home), "name": NAME, "before": None, "after": after, "number": 1}
    return facts | {"kill": None, "gate": None} | changes


def carried_out(plans: Sequence[dict[str, Any]]) -> list[int]:
    """Carry out plans, each in a process of its own; those with a gate start together, once all are at it.

    Returns:
        Exit codes, negative for a signal.
    """
    child = subprocess.run(
        [sys.executable, "-c", PROMOTER], input=json.dumps(plans), capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return [int(line) for line in child.stdout.split()]


def with_versions(workspace: Workspace, versions: int = 3) -> MlflowClient:
    """Register versions that hold nothing, which moving an alias does not look at."""
    client = store_of(workspace).client()
    client.create_registered_model(NAME)
    for _ in range(versions):
        client.create_model_version(NAME, source="s3://nowhere/model")
    return client
