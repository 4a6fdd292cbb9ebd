"""A model used on files: predict."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.app import AsJson, Home, app, settled, write_json
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.config import Places
    from xray.registry.choice import Choice

Files = Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)]
Address = Annotated[str | None, typer.Option("--model", help="A model's address, such as models:/NAME/1.")]


@app.command(epilog="Example: [bold]xray predict scan.jpeg other.png --json[/bold]")
def predict(files: Files, model: Address = None, as_json: AsJson = False, home: Home = Path()) -> None:
    """Give the probability of pneumonia, a decision and the model's version for each file."""
    readable(files, model, home)
    settled(home)
    from flows.screen import console, show_table
    from tasks.libraries import load
    from xray.config import Places
    from xray.registry.card import SAFETY

    places = Places(home=home.resolve())
    choice = chosen(places, model)
    scores = load("xray.registry.choice").score_files(places, choice.uri, files)
    rows = [
        {"file": str(path), **row, "model": choice.uri, "chosen": choice.how}
        for path, row in zip(files, scores, strict=True)
    ]
    if as_json:
        write_json(rows)
    else:
        cells = [
            (row["file"], row["error"], "", "") if row["error"]
            else (row["file"], f"{row['p_pneumonia']:.4f}", row["decision"], f"{row['threshold']:.4f}")
            for row in rows
        ]  # fmt: skip
        show_table(f"{choice.uri} ({choice.how})", ("file", "p_pneumonia", "decision", "threshold"), cells)
        console.print(SAFETY, style="dim")
    unread = sum(row["error"] is not None for row in rows)
    if unread:
        raise XrayError(f"each file must be a scan; the answer above says why not. Received: {unread} that are none")


def readable(files: list[Path], model: str | None, home: Path) -> list[bytes]:
    """Read files for a model, and refuse at once what no model can be found or used for.

    Args:
        files: What the user named.
        model: The model's address; None lets `chosen` take one.
        home: Holds mlruns/.

    Returns:
        The bytes of each file.

    Raises:
        XrayError: A file cannot be read, or the home holds no store to take the model from.
    """
    from flows.refusals import read_file, require_store

    contents = [read_file(path) for path in files]
    if model is None or model.startswith(("models:", "runs:")):
        require_store(home)
    return contents


def chosen(places: "Places", model: str | None) -> "Choice":
    """Take the model that was asked for, or else the champion, the challenger or the newest.

    Raises:
        RegistryError: None was asked for and none is registered, or the store cannot be reached.
    """
    from tasks.libraries import load
    from xray.config import Registry

    models = load("xray.registry.choice")
    choice: Choice = models.Choice(model, None, "as asked") if model else models.resolve(places, Registry().model_name)
    return choice
