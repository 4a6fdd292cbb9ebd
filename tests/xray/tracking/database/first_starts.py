"""Real first starts, killed at a step or together: one process imports everything and forks the others."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from xray.config import Workspace

STARTER = """
import gc, json, os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from xray.config import Workspace
from xray.tracking.store import store_of

def start(plan):
    left = [plan["nth"]]

    def step(*_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if plan["at"] == "statement":
        event.listen(Engine, "before_cursor_execute", step)
    elif plan["at"] == "seconds":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, plan["nth"])
    elif plan["at"]:
        sys.addaudithook(lambda name, _: step() if name == plan["at"] else None)
    store = store_of(Workspace(home=Path(plan["home"])))
    client = store.client()
    client.create_run(store.experiment(client, "first"))

gc.freeze()  # what is imported is shared with the children and stays
children = []
plans = json.load(sys.stdin)
for plan in plans:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            start(plan)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    children.append(child)
    if not plan["beside"]:
        print(os.waitstatus_to_exitcode(os.waitpid(children.pop(), 0)[1]))
for child in children:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def plan(workspace: Workspace, at: str | None = None, nth: float = 0, beside: bool = False) -> dict[str, Any]:
    """Plan a first start: the store is opened, and a run made.

    Args:
        workspace: The home.
        at: It is killed at the `nth` "statement" of SQL, or audit event of that name, or after so many "seconds".
        nth: From 1.
        beside: Whether the next one starts beside it.
    """
    return {"home": str(workspace.home), "at": at, "nth": nth, "beside": beside}


def started(plans: Sequence[dict[str, Any]]) -> list[int]:
    """Carry out plans, each in a process of its own.

    Returns:
        Exit codes, negative for a signal; those that ran beside each other come last.
    """
    child = subprocess.run(
        [sys.executable, "-c", STARTER], input=json.dumps(plans), capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return [int(line) for line in child.stdout.split()]
