"""The Typer application that every command joins, and the options that several share."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xray import __version__
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.config import Request, Workspace

DEFAULT_NAME = "xray-classifier"
"""The registered model that commands mean where none is named."""

app = typer.Typer(
    help="Classify chest X-rays: pneumonia or another finding, or normal. It supports a doctor's judgement and never "
    "replaces it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

DataFolders = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...", help="Folder of scans, or s3://BUCKET/FOLDER; several are one data set.", show_default=False
    ),
]

Data = Annotated[
    str, typer.Argument(help="Folder of scans with their metadata, or s3://BUCKET/FOLDER.", show_default=False)
]


def _addressable(home: Path) -> Path:
    """Refuse at once a home whose databases, MLflow's and Prefect's, no address can name."""
    if "?" in str(home.resolve()):
        raise XrayError(f"--home must not contain a ?, which ends a database's address. Received: {home.resolve()}")
    return home


Home = Annotated[
    Path,
    typer.Option("--home", envvar="XRAY_HOME", help="Folder that holds data/ and mlruns/.", callback=_addressable),
]
Prepared = Annotated[
    str | None,
    typer.Option(
        "--prepared", metavar="ADDRESS", envvar="XRAY_PREPARED", help="s3://BUCKET/FOLDER to share prepared data."
    ),
]
Recipe = Annotated[str, typer.Option("--recipe", help="A shipped recipe (default, article, quick), or a .toml file.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; can be repeated.")
]
Dask = Annotated[
    str | None,
    typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler's address, or local.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"xray {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def configure_environment(home: Path, trains: bool = False) -> None:
    """Set this process's environment, once a command has passed its checks.

    Args:
        home: The folder that holds data/ and mlruns/.
        trains: Whether a network will be trained.

    Raises:
        XrayError: The home's path is no text.
    """
    from flows.preflight import require_text
    from flows.servers.environment import settle

    require_text(home, "--home")
    settle(home.resolve(), trains)


def typed(name: str) -> str:
    """Name a command of this environment so that it can be typed here as it is printed."""
    path = Path(sys.executable).parent / name
    return name if shutil.which(name) == str(path) else min(str(path), os.path.relpath(path), key=len)


def placed(home: Path) -> str:
    """Give the option that names a home in a command to be typed, with a space before it; nothing for the usual one."""
    return "" if home == Path() else f" --home {shlex.quote(str(home))}"


def command(*words: object, home: Path = Path()) -> str:
    """Write a command of ours so that it does, in the folder where it is printed, what it says.

    Args:
        words: Its name and arguments, unquoted.
        home: The folder that holds data/ and mlruns/; named where it is not the usual one.
    """
    return shlex.join([typed("xray"), *map(str, words)]) + placed(home)


def show_next_steps(ends: Mapping[str, str]) -> None:
    """Print what a command leaves and what goes on from it: a word and an address, a path or a command each."""
    from flows.console import console

    for word, end in ends.items():
        if end:
            console.print(f"{word:8} {end}", soft_wrap=True)


def show_recipe(request: "Request") -> None:
    """Print what holds for the values that a recipe file leaves out; nothing for a shipped recipe."""
    if request.recipe_file is not None:
        from xray.recipe_files import read_recipe

        show_next_steps({"recipe": read_recipe(str(request.recipe_file)).remark})


def pages(workspace: "Workspace", run_id: str, home: Path) -> dict[str, str]:
    """Say where MLflow and Prefect show a run, or which commands open their pages.

    Args:
        workspace: Where MLflow's store lies.
        run_id: The MLflow run.
        home: The folder that holds data/ and mlruns/, as it was given.
    """
    from xray.tracking.page_address import page_of

    page = page_of(workspace, run_id)
    prefect = os.environ.get("PREFECT_API_URL", "").removesuffix("/api")
    return {"MLflow": page or command("ui", home=home), "Prefect": prefect or command("up", home=home)}


def write_json(values: Any) -> None:
    """Print JSON-like values for a program."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")
