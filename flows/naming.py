"""What Prefect's pages call a run of a flow, and the tags by which it is found there."""

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import PurePath
from typing import Any, ParamSpec, TypeVar

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from tasks.artifacts import AWAY

P = ParamSpec("P")
T = TypeVar("T")

KINDS = {
    "pipeline": "training",
    "cross-validate": "training",
    "tune": "training",
    "prepare": "data",
    "score": "scoring",
    "evaluate": "registry",
    "recalibrate": "registry",
    "promote": "registry",
    "rollback": "registry",
}
"""By a flow's name, the tag that its deployments in prefect.yaml bear too."""

ID_SHOWN = 8

log = logging.getLogger(__name__)


def run_name() -> str:
    """Name a run by what it is about, its time and its id: `default on scans, 2026-11-26 02:10 UTC, 3f2a9c1b`."""
    at = flow_run.get_scheduled_start_time()
    about = _about()
    subject = about.get("recipe") or about["model"]
    of = f" version {about['version']}" if "version" in about else ""
    on = f" on {about['data']}" if "data" in about else ""
    return f"{subject}{of}{on}, {at:%Y-%m-%d %H:%M} UTC, {str(flow_run.get_id())[:ID_SHOWN]}"


def tagged(body: Callable[P, T]) -> Callable[P, T]:
    """Give each run of a flow its tags, beside those of its deployment: its kind, `recipe:NAME`, `data:NAME` and so on.

    Args:
        body: The flow's function.
    """

    @wraps(body)
    def run(*arguments: P.args, **named: P.kwargs) -> T:
        _tag()
        return body(*arguments, **named)

    return run


def _tag() -> None:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow is None:
        return
    about = [f"{what}:{name}" for what, name in _about().items()]
    tags = {*context.flow_run.tags, *about, *filter(None, [KINDS.get(context.flow.name)])}
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(context.flow_run.id, tags=sorted(tags))
    except AWAY as error:
        log.warning("Prefect's server does not answer, the work continues: %s", error)


def _about() -> dict[str, str]:
    """Say what a run is about: its recipe and data, or its model and inbox or version."""
    given = flow_run.get_parameters()
    if "request" in given:
        request = given["request"]
        folders = [_part(request, "data"), *(_part(request, "others") or ())]
        data = "+".join(PurePath(str(folder)).name for folder in folders)
        return {"recipe": str(_part(_part(request, "config"), "recipe")), "data": data}
    if "models" in given:
        folders = [given["data"], *(given.get("others") or ())]
        data = "+".join(PurePath(str(folder)).name for folder in folders)
        return {"model": ", ".join(str(uri).removeprefix("models:/") for uri in given["models"]), "data": data}
    about = {"model": str(given.get("model_name"))}
    if given.get("version") is not None:
        about["version"] = str(given["version"])
    if "inbox" in given:
        about["data"] = PurePath(str(given["inbox"])).name
    return about


def _part(whole: Any, name: str) -> Any:
    """Take a part of a parameter, which is no object of ours yet where Prefect names a run before it checks it."""
    return whole.get(name) if isinstance(whole, Mapping) else getattr(whole, name, None)
