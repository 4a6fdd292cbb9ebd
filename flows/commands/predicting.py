"""A model used on files: predict."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.app import AsJson, Home, app, configure_environment, write_json
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.config import Workspace
    from xray.scoring.select_model import SelectedModel

Files = Annotated[list[Path], typer.Argument(help="Image files; - is standard input.", show_default=False)]
Address = Annotated[str | None, typer.Option("--model", help="A model's address, such as models:/NAME/1.")]


@app.command(epilog="Example: [bold]xray predict scan.jpeg other.png --json[/bold]")
def predict(files: Files, model: Address = None, as_json: AsJson = False, home: Home = Path()) -> None:
    """Give the probability of the finding, a decision and the model's version for each file."""
    from flows.input_files import input_files

    with input_files(files) as paths:
        require_model(model, home)
        configure_environment(home)
        from xray.config import Workspace
        from xray.data.sources.file_listing import printable
        from xray.scoring.select_model import score_files

        workspace = Workspace(home=home.resolve())
        choice = chosen(workspace, model)
        scores = score_files(workspace, choice.uri, paths)
    rows = [
        {"file": printable(str(path)), **row, "model": choice.uri, "chosen": choice.how}
        for path, row in zip(files, scores, strict=True)
    ]
    _show(rows, f"{choice.uri} ({choice.how})", as_json)
    unread = sum(row["error"] is not None for row in rows)
    if unread:
        raise XrayError(f"each file must be a scan; the table says why not. Received: {unread} that are not scans")


def _show(rows: list[dict[str, Any]], title: str, as_json: bool) -> None:
    from flows.console import show_safety, show_table

    if as_json:
        write_json(rows)
    else:
        column = score_column(rows[0])
        cells = [
            (row["file"], row["error"], "", "") if row["error"]
            else (row["file"], f"{row[column]:.4f}", row["decision"], f"{row['threshold']:.4f}")
            for row in rows
        ]  # fmt: skip
        show_table(title, ("file", column, "decision", "threshold"), cells)
        show_safety()


def score_column(answer: Mapping[str, Any]) -> str:
    """Name the column of a model's answer that holds the probability of its finding."""
    from xray.labels import finding_in, p_column

    return p_column(finding_in(answer))


def require_model(model: str | None, home: Path) -> None:
    """Refuse a home without a model store.

    Args:
        model: The model's address; None lets `chosen` take one.
        home: Holds mlruns/.

    Raises:
        XrayError: The model lies in a store, and the home holds none.
    """
    from flows.preflight import require_store

    if model is None or model.startswith(("models:", "runs:")):
        require_store(home)


def chosen(workspace: "Workspace", model: str | None) -> "SelectedModel":
    """Take the model that was asked for, or else the champion, the challenger or the newest.

    Raises:
        RegistryError: None was asked for and none is registered, or the store cannot be reached.
    """
    from xray.config import Registry
    from xray.scoring.select_model import SelectedModel, select_model

    return SelectedModel(model, None, "as asked") if model else select_model(workspace, Registry().model_name)
