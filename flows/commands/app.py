"""The Typer application that every command joins, and the options that several share."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Tell pneumonia from normal lungs on chest X-rays. It supports a doctor's judgement and never replaces it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Data = Annotated[
    str, typer.Argument(help="Folder of scans with their metadata, or s3://BUCKET/FOLDER.", show_default=False)
]
Home = Annotated[Path, typer.Option("--home", envvar="XRAY_HOME", help="Folder that holds data/ and mlruns/.")]
Prepared = Annotated[
    str | None,
    typer.Option(
        "--prepared", metavar="ADDRESS", envvar="XRAY_PREPARED", help="s3://BUCKET/FOLDER that shares what is prepared."
    ),
]
Recipe = Annotated[str, typer.Option("--recipe", help="A shipped recipe, or a .toml file.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; can be repeated.")
]
Dask = Annotated[
    str | None,
    typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler's address, or local.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]


def settled(home: Path, trains: bool = False) -> None:
    """Set this process's environment, once a command knows that it will go on.

    Args:
        home: The folder that holds data/ and mlruns/.
        trains: Whether a network will be trained.

    Raises:
        XrayError: The home's path is no text.
    """
    from flows.environment import settle
    from flows.refusals import require_text

    require_text(home, "--home")
    settle(home.resolve(), trains)


def typed(name: str) -> str:
    """Name a command of this environment so that it can be typed here as it is printed."""
    path = Path(sys.executable).parent / name
    return name if shutil.which(name) == str(path) else min(str(path), os.path.relpath(path), key=len)


def placed(home: Path) -> str:
    """Give the option that names a home in a command to be typed, with a space before it; nothing for the usual one."""
    return "" if home == Path() else f" --home {home}"


def write_json(values: Any) -> None:
    """Print JSON-like values for a program."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")
