"""The pages to look at: ui."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import Home, app, settled


@app.command(epilog="Example: [bold]xray ui --port 5000[/bold]")
def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="A free port.")] = 5000, home: Home = Path()
) -> None:
    """Start MLflow's own UI on the store under mlruns/, on 127.0.0.1 alone."""
    from flows.refusals import require_free, require_store

    require_free(port)
    require_store(home)
    settled(home)
    from xray.config import Places
    from xray.registry.store import ui_command

    command = ui_command(Places(home=home.resolve()), port)
    # Without the workflow's type MLflow opens the page that it has for language models.
    typer.echo(f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning (Ctrl-C ends it)")
    sys.stdout.flush()
    os.execvp(command[0], command)
