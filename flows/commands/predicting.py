"""A model used on files: predict."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import AsJson, Home, app, settled, write_json
from xray.errors import XrayError


@app.command(epilog="Example: [bold]xray predict scan.jpeg other.png --json[/bold]")
def predict(
    files: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    model: Annotated[str | None, typer.Option("--model", help="A model's address, such as models:/NAME/1.")] = None,
    as_json: AsJson = False,
    home: Home = Path(),
) -> None:
    """Give the probability of pneumonia, a decision and the model's version for each file."""
    from flows.refusals import read_file, require_store

    contents = [read_file(path) for path in files]
    if model is None or model.startswith(("models:", "runs:")):
        require_store(home)
    settled(home)
    from flows.screen import console, show_table
    from tasks.libraries import load
    from xray.config import Places, Registry
    from xray.registry.card import SAFETY

    load("xray.training.architectures")  # Keras and TensorFlow, which loading the model would start with their noise
    models = load("xray.registry.choice")
    places = Places(home=home.resolve())
    choice = models.Choice(model, None, "as asked") if model else models.resolve(places, Registry().model_name)
    scores = models.score_files(places, choice.uri, contents)
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
