"""The command evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import DEFAULT_NAME, Home, app, configure_environment, pages, show_next_steps
from xray.errors import XrayError


@app.command(epilog="Example: [bold]xray evaluate our-scans --model models:/xray-classifier@champion[/bold]")
def evaluate(
    data: Annotated[
        list[str], typer.Argument(help="Folders of labelled scans.", metavar="DATA...", show_default=False)
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A version's address, models:/NAME/3 or models:/NAME@champion; may be given again."
        ),
    ] = None,
    learnt: Annotated[
        str, typer.Option("--learnt", help="Scans that a model has learnt from: refuse, or leave-out.")
    ] = "refuse",
    home: Home = Path(),
) -> None:
    """Measure registered models on labelled scans of your own, beside their figures on their own TEST."""
    from flows.preflight import require_store, require_text
    from xray.data.sources.read_sources import read_sources
    from xray.files.s3 import data_path

    if learnt not in ("refuse", "leave-out"):
        raise XrayError(f"--learnt must be refuse or leave-out. Received: {learnt}")
    for each in data:
        require_text(each, "the data folder")
    folders = [data_path(each) for each in data]
    require_store(home)
    read_sources(folders)  # a mistake is told in the user's own words, names and all
    configure_environment(home)
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
        ended = flow(first, tuple(others), tuple(models), "leave-out" if learnt == "leave-out" else "refuse", home)
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


def _imports() -> None:
    """Load what takes long while the server starts."""
    import flows.external  # noqa: F401
