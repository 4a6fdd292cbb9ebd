"""The commands evaluate and recalibrate."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.commands.app import (
    DEFAULT_NAME,
    DataFolders,
    Home,
    app,
    command,
    configure_environment,
    pages,
    show_next_steps,
)
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.files.s3 import DataPath


Learnt = Annotated[str, typer.Option("--learnt", help="Scans that a model has learnt from: refuse, or leave-out.")]


@app.command(epilog="Example: [bold]xray evaluate our-scans --model models:/xray-classifier@champion[/bold]")
def evaluate(
    data: DataFolders,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A version's address, models:/NAME/3 or models:/NAME@champion; may be given again."
        ),
    ] = None,
    learnt: Learnt = "refuse",
    home: Home = Path(),
) -> None:
    """Measure registered models on labelled scans of your own, beside their figures on their own TEST."""
    folders = _checked(data, learnt, home)
    from flows.console import console, show_safety, show_table, working
    from flows.external import evaluate as flow
    from flows.servers.environment import served
    from xray.config import Workspace
    from xray.external.answers import find_version
    from xray.external.external_run import compared
    from xray.external.measure import COLUMNS

    workspace = Workspace(home=home.resolve())
    models = model or [f"models:/{DEFAULT_NAME}@champion"]
    with working(served(home, _imports)):
        for uri in models:  # refused here, it does not stand among Prefect's failed runs
            find_version(workspace, uri)
        first, *others = folders
        ended = flow(first, tuple(others), tuple(models), _learnt(learnt), home)
    for version, measured, run in zip(ended.versions, ended.measured, ended.runs, strict=True):
        show_table(f"{version.uri} on {', '.join(data)}", COLUMNS, measured.report()["rows"])
        show_table("Slices of the scans", *measured.report()["tables"]["Slices of the scans"])
        show_next_steps({"run": run.run_id, "report": str(run.report), **pages(workspace, run.run_id, home)})
    if len(ended.versions) > 1:
        first_version, *rest = ended.versions
        for version, measured in zip(rest, ended.measured[1:], strict=True):
            for uri, table in compared(measured, {first_version.uri: ended.measured[0]}).items():
                show_table(f"{version.uri} against {uri}", table.columns, table.rows)
    for note in ended.notes:
        console.print(f"note     {note}", soft_wrap=True)
    show_safety()


@app.command(epilog="Example: [bold]xray recalibrate our-scans --model models:/xray-classifier@champion[/bold]")
def recalibrate(
    data: DataFolders,
    model: Annotated[
        str | None, typer.Option("--model", help="Address of the version, such as models:/NAME@champion.")
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold", help="Rule: youden, sensitivity>=X, specificity>=X or cost; else the version's own."
        ),
    ] = None,
    most_error: Annotated[
        float | None, typer.Option("--most-error", min=0, max=1, help="Greatest share of decided scans that is wrong.")
    ] = None,
    prevalence: Annotated[
        float | None, typer.Option("--prevalence", help="Share of the finding where the model is used.")
    ] = None,
    learnt: Learnt = "refuse",
    home: Home = Path(),
) -> None:
    """Fit a model's decision rule on labelled scans of your own, and register it as a new version."""
    folders = _checked(data, learnt, home)
    asked = {"threshold": threshold, "most_error": most_error, "prevalence": prevalence}
    require_evaluation({name: value for name, value in asked.items() if value is not None})
    from flows.console import console, show_safety, show_table, working
    from flows.external import recalibrate as flow
    from flows.servers.environment import served
    from xray.config import Workspace
    from xray.external.answers import find_version
    from xray.external.recalibrated_version import COLUMNS

    workspace = Workspace(home=home.resolve())
    uri = model or f"models:/{DEFAULT_NAME}@champion"
    with working(served(home, _imports)):
        find_version(workspace, uri)
        first, *others = folders
        ended = flow(first, tuple(others), (uri,), threshold, most_error, prevalence, _learnt(learnt), home)
    show_table(f"{ended.version.uri} on {', '.join(data)}", COLUMNS, ended.found.rows())
    made = ended.made.registered
    withheld = {"": f"not challenger: {made.withheld}"} if made.withheld else {}
    promote = command("promote", made.version, "--model-name", made.name, home=home)
    show_next_steps({"model": made.uri, **withheld, "promote": promote, "run": ended.made.run_id})
    for note in ended.notes:
        console.print(f"note     {note}", soft_wrap=True)
    show_safety()


def require_evaluation(values: Mapping[str, object]) -> None:
    """Refuse a rule that no evaluation knows.

    Raises:
        XrayError: A value is out of bounds, or no rule.
    """
    from pydantic import ValidationError

    from xray.config import Evaluation
    from xray.config_schema import requirement

    try:
        Evaluation.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise XrayError(f"--{option}: {requirement(first)}. Received: {first['input']}") from error


def _checked(data: list[str], learnt: str, home: Path) -> "list[DataPath]":
    """Refuse what cannot be read, in the user's own words, names and all, before Prefect has a run of it."""
    from flows.preflight import require_store, require_text
    from xray.data.sources.read_sources import read_sources
    from xray.files.s3 import data_path

    if learnt not in ("refuse", "leave-out"):
        raise XrayError(f"--learnt must be refuse or leave-out. Received: {learnt}")
    for each in data:
        require_text(each, "the data folder")
    folders = [data_path(each) for each in data]
    require_store(home)
    read_sources(folders)
    configure_environment(home)
    return folders


def _learnt(word: str) -> Literal["refuse", "leave-out"]:
    return "leave-out" if word == "leave-out" else "refuse"


def _imports() -> None:
    """Load what takes long while the server starts."""
    import flows.external  # noqa: F401
