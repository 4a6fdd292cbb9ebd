"""The servers, and the pages to look at: up, ui."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import Home, app, configure_environment

MACHINE_LEARNING = "#/experiments?workflowType=machine_learning"
"""Without the workflow's type MLflow opens the page that it has for language models."""

DEPLOYMENTS = Path(__file__).parents[2] / "prefect.yaml"


@app.command(epilog="Example: [bold]xray up --prefect-port 4201 --mlflow-port 5001[/bold]")
def up(
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="A free port for Prefect.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="A free port for MLflow.")] = 5000,
    deployments: Annotated[
        Path, typer.Option(help="The deployments to apply.", show_default="prefect.yaml")
    ] = DEPLOYMENTS,
    notify: Annotated[
        str | None,
        typer.Option(metavar="TYPE/NAME", help="Send failed runs to this notification block of Prefect's."),
    ] = None,
    home: Home = Path(),
) -> None:
    """Run Prefect's server, MLflow's server and a worker until Ctrl-C, all on 127.0.0.1 only."""
    from flows.preflight import require_file, require_writable
    from flows.servers.run_servers import Plan
    from flows.servers.run_servers import up as run_servers

    require_file(deployments, "--deployments")
    require_writable(home)
    raise typer.Exit(run_servers(Plan(home.resolve(), prefect_port, mlflow_port, deployments.resolve(), notify)))


@app.command(epilog="Example: [bold]xray ui --port 5000[/bold]")
def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="A free port.")] = 5000, home: Home = Path()
) -> None:
    """Start MLflow's UI for the store under mlruns/, on 127.0.0.1 only; if xray up runs it, print its address."""
    from flows.preflight import require_free, require_store
    from flows.servers.server_registry import access, running

    servers = running(home.resolve())
    if servers is not None:
        typer.echo(f"{servers.mlflow}/{MACHINE_LEARNING} (already running, by xray up)")
        typer.echo(access(home.resolve()))
        return
    require_free(port)
    require_store(home)
    configure_environment(home)
    from xray.config import Workspace
    from xray.tracking.lookup.list_runs import pages
    from xray.tracking.store import ui_command

    workspace, address = Workspace(home=home.resolve()), f"http://127.0.0.1:{port}"
    command = ui_command(workspace, port)
    # Without the workflow's type MLflow opens the page that it has for language models.
    typer.echo(f"{address}/#/experiments?workflowType=machine_learning (Ctrl-C ends it)")
    typer.echo(access(home.resolve()))
    for experiment, page in pages(workspace, address).items():
        typer.echo(f"runs of {experiment}: {page}")
    sys.stdout.flush()
    os.execvp(command[0], command)
