"""The commands models, promote, rollback and history."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.app import (
    DEFAULT_NAME,
    AsJson,
    Home,
    app,
    command,
    configure_environment,
    show_next_steps,
    write_json,
)
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.promotion.outcome import PromotionOutcome

NOT_MOVED = 1
"""Exit code of a move that was refused or withdrawn: an answer, where 2 says that there is none."""

ModelName = Annotated[str, typer.Option("--model-name", help="The registered model.")]
Reason = Annotated[str, typer.Option("--reason", help="The reason; it is stored in the history.")]


@app.command(epilog="Example: [bold]xray models[/bold]")
def models(home: Home = Path(), model_name: ModelName = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """List the versions of a model, the newest first: aliases, metrics on TEST, data and recipe."""
    _ready(home)
    from flows.console import console, show_table
    from xray.config import Workspace
    from xray.evaluation.metrics.names import SHOWN
    from xray.models.versions import versions
    from xray.promotion.protocol import reconcile

    workspace = Workspace(home=home.resolve())
    reconcile(workspace, model_name)
    found = versions(workspace, model_name)
    if as_json:
        write_json([each.to_dict() for each in found])
        return
    rows = [
        (each.version, ", ".join(each.aliases), *(_figure(each.figures.get(name)) for name in SHOWN),
         each.catalog[:8], each.recipe, _time(each.created_ms), each.verdict)
        for each in found
    ]  # fmt: skip
    figures = [name.replace("_", " ") for name in SHOWN]
    show_table(model_name, ("version", "aliases", *figures, "data", "recipe", "registered", "decided"), rows)
    overwritten = ", ".join(each.version for each in found[::-1] if each.overwritten)
    if overwritten:
        console.print(f"No metrics of version {overwritten}: an older xray overwrote them with another evaluation's.")


@app.command(epilog="Example: [bold]xray promote 3 --set promotion.margin_specificity=0.05[/bold]")
def promote(  # noqa: PLR0917 the options of a command
    version: Annotated[
        int | None, typer.Argument(min=1, help="The version; without it, the one with the alias `challenger`.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote it even if the policy refuses.")] = False,
    reason: Reason = "",
    data: Annotated[str | None, typer.Option("--data", help="Where the scans are now, if they were moved.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the policy: promotion.X=…")
    ] = None,
    home: Home = Path(),
    model_name: ModelName = DEFAULT_NAME,
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATA", help="Labelled scans of your own to use instead of TEST.")
    ] = None,
) -> None:
    """Compare a version with the champion on the same scans; make it champion if the policy allows.

    Exit code 0: it is champion now. 1: it was refused, or another promotion came first.
    """
    from flows.preflight import checked_policy
    from xray.files.s3 import data_path

    policy = checked_policy(settings or [], force, reason)
    scans = None if data is None else data_path(data)
    if isinstance(scans, Path) and not scans.is_dir():
        raise XrayError(f"--data must be an existing folder. Received: {data}")
    own = None if on is None else data_path(on)
    if own is not None:
        from xray.data.sources.read_sources import read_sources

        read_sources([own])  # a mistake is told in the user's own words, names and all
    _ready(home)
    from flows.console import working
    from flows.promotion import promote as promote_flow
    from flows.servers.environment import served

    with working(served(home, _imports)):
        require_challenger(home, model_name, version)
        decision = promote_flow(version, force, reason, scans, policy, model_name, home.resolve(), "", own)
    _tell(decision, home)


@app.command(epilog='Example: [bold]xray rollback --reason "too many false alarms"[/bold]')
def rollback(reason: Reason = "", home: Home = Path(), model_name: ModelName = DEFAULT_NAME) -> None:
    """Make the previous champion champion again; a second time goes one further back."""
    _ready(home)
    from flows.console import working
    from flows.promotion import rollback as rollback_flow
    from flows.servers.environment import served

    with working(served(home, _imports)):
        require_champion_before(home, model_name)
        decision = rollback_flow(reason, model_name, home.resolve())
    _tell(decision, home)


@app.command(epilog="Example: [bold]xray history --json[/bold]")
def history(home: Home = Path(), model_name: ModelName = DEFAULT_NAME, as_json: AsJson = False) -> None:
    """Print every decision about a model, the newest first, refusals included."""
    _ready(home)
    from flows.console import show_table
    from xray.config import Workspace
    from xray.promotion.decision_log import DecisionLog
    from xray.promotion.protocol import reconcile

    workspace = Workspace(home=home.resolve())
    reconcile(workspace, model_name)
    records = DecisionLog(workspace, model_name).records()[::-1]
    if as_json:
        write_json([record.to_dict() for record in records])
        return
    rows = [
        (_time(record.at_ms), record.verdict or "open", record.draft.before or "none", record.draft.after or "none",
         record.by, record.outcome or record.draft.reason)
        for record in records
    ]  # fmt: skip
    show_table(f"{model_name}, decisions", ("when", "result", "from", "to", "by", "reason"), rows)


def _ready(home: Path) -> None:
    from flows.preflight import require_store

    require_store(home)
    configure_environment(home)


def require_challenger(home: Path, model_name: str, version: int | None) -> None:
    """Refuse a promotion that cannot be evaluated, before Prefect has a run of it.

    Args:
        home: The folder that holds data/ and mlruns/.
        model_name: The registered model.
        version: The version that would be champion; None for the one that bears the alias `challenger`.

    Raises:
        XrayError: There is no such model or version, no challenger, or it is champion already.
    """
    from tasks.progress import doing
    from xray.config import Workspace
    from xray.models.versions import versions
    from xray.promotion.promote import find_challenge

    workspace = Workspace(home=home.resolve())
    with doing("reading the versions"):
        found = versions(workspace, model_name)
        if version is None and found and not any("challenger" in each.aliases for each in found):
            newest = command("promote", found[0].version, *_named(model_name), home=home)
            raise XrayError(
                f"name a version, such as {newest}, because none has the alias challenger. "
                f"Received: no version of {model_name} has it"
            )
        find_challenge(workspace, model_name, version)


def require_champion_before(home: Path, model_name: str) -> None:
    """Refuse a rollback that is not possible, before Prefect has a run of it.

    Raises:
        RegistryError: There is no champion before this one.
    """
    from tasks.progress import doing
    from xray.config import Workspace
    from xray.promotion.promote import find_rollback_target

    with doing("reading the versions"):
        find_rollback_target(Workspace(home=home.resolve()), model_name)


def _named(model_name: str) -> list[str]:
    return [] if model_name == DEFAULT_NAME else ["--model-name", model_name]


def _tell(decision: "PromotionOutcome", home: Path) -> None:
    from flows.console import console, show_table

    if decision.comparison is not None:
        show_table(decision.scans(), ("rule", "seen", "held"), decision.rows())
    console.print(decision.message, soft_wrap=True)
    show_next_steps({"history": command("history", *_named(decision.model_name), home=home)})
    if not decision.moved:
        raise typer.Exit(NOT_MOVED)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m-%d %H:%M}"


def _imports() -> None:
    """Load what the flow needs, which takes as long as Prefect's server does to start."""
    import xray.promotion.promote  # noqa: F401
