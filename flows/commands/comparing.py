"""Runs side by side: runs, compare."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import AsJson, Home, app, configure_environment, placed, typed, write_json
from xray.errors import XrayError

ADDRESS = "http://127.0.0.1:5000"
"""Where `xray ui` serves MLflow's pages unless told otherwise."""


@app.command(epilog="Example: [bold]xray runs --last 5[/bold]")
def runs(
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="How many, the newest first.")] = 10,
    experiment: Annotated[str, typer.Option("--experiment", help="MLflow experiment.")] = "xray",
    below: Annotated[
        str | None, typer.Option("--below", metavar="RUN", help="List the child runs of a run: trials, folds or seeds.")
    ] = None,
    as_json: AsJson = False,
    home: Home = Path(),
) -> None:
    """List the last runs with their main metrics; a search or a cross-validation counts as one."""
    from flows.preflight import require_store

    require_store(home)
    configure_environment(home)
    from flows.console import console, show_table
    from xray.config import Workspace
    from xray.tracking.lookup.list_runs import COLUMNS, last_runs

    found = last_runs(Workspace(home=home.resolve()), experiment, last, ADDRESS, below)
    if as_json:
        write_json([run.to_dict() for run in found.runs])
        return
    show_table(f"{experiment}: metrics on TEST (95 % interval)", COLUMNS, (run.row() for run in found.runs))
    opened = "" if found.is_served else f" (once {typed('xray')} ui{placed(home)} serves it)"
    console.print(f"MLflow   {found.page}{opened}", soft_wrap=True)


@app.command(epilog="Example: [bold]xray compare 3f2a9c1b xray-classifier/4[/bold]")
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN...", help="Run ids (or first digits), names, or versions such as NAME/3."),
    ],
    shared: Annotated[
        bool, typer.Option("--shared", help="Compare runs with different TEST scans on the scans that both have.")
    ] = False,
    as_json: AsJson = False,
    home: Home = Path(),
) -> None:
    """Compare each later run with the first: what differs, by how much, and whether it is significant."""
    from flows.preflight import require_store

    if len(runs) < 2:
        raise XrayError(f"at least two runs must be given. Received: {' '.join(runs)}")
    require_store(home)
    configure_environment(home)
    from flows.console import console, show_table
    from xray.config import Workspace
    from xray.tracking.lookup.compare_runs import compare_runs

    found = compare_runs(Workspace(home=home.resolve()), runs, shared)
    if as_json:
        write_json(found.to_dict())
        return
    if found.differing:
        show_table("What differs", ("", "", *found.names), found.differing)
    else:
        console.print("Configuration, data and code are the same.")
    from xray.evaluation.metrics.paired_comparison import CAUTION, COLUMNS

    for each in found.compared:
        show_table(each.title, COLUMNS, each.comparison.rows())
    console.print(CAUTION, style="dim")
