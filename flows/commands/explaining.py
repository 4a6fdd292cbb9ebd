"""The command explain."""

import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.app import Home, app, configure_environment
from flows.commands.predicting import Address, Files, chosen, require_model, score_column
from xray.errors import XrayError

if TYPE_CHECKING:
    from xray.scoring.explain_files import Explained


@app.command(epilog="Example: [bold]xray explain scan.jpeg other.png --output maps[/bold]")
def explain(
    files: Files,
    model: Address = None,
    output: Annotated[Path, typer.Option("--output", help="Folder for the maps, NAME-map.png each.")] = Path(),
    home: Home = Path(),
) -> None:
    """Draw where in each scan the model finds evidence for its finding, with its answer."""
    plots = _plots(files, output)
    from flows.input_files import contents

    scans = contents(files)
    require_model(model, home)
    configure_environment(home)
    from flows.console import show_safety, show_table
    from xray.config import Workspace
    from xray.data.sources.file_listing import printable
    from xray.evaluation.reporting.model_card import SAFETY
    from xray.scoring.explain_files import explain_files

    workspace = Workspace(home=home.resolve())
    choice = chosen(workspace, model)
    names = [printable(str(path)) for path in files]
    explained = explain_files(workspace, choice.uri, dict(zip(names, scans, strict=True)))
    _draw(explained, dict(zip(names, plots, strict=True)), choice.uri, SAFETY)
    column = score_column(next(iter(explained.values())).answer)
    rows = [
        (name, f"{each.answer[column]:.4f}", each.answer["decision"], str(picture))
        for (name, each), picture in zip(explained.items(), plots, strict=True)
    ]
    show_table(f"{choice.uri} ({choice.how})", ("file", column, "decision", "map"), rows)
    show_safety()


def _plots(files: list[Path], output: Path) -> list[Path]:
    """Name each file's picture, and refuse what would write one over another or not at all."""
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise XrayError(f"--output must be a writable folder. Received: {output}")
    stems = ["standard-input" if path == Path("-") else path.stem for path in files]
    plots = [output / f"{stem}-map.png" for stem in stems]
    twice = next((path for path in plots if plots.count(path) > 1), None)
    if twice is not None:
        raise XrayError(f"files must have different names. Received: several for {twice}")
    return plots


def _draw(explained: "Mapping[str, Explained]", plots: Mapping[str, Path], uri: str, safety: str) -> None:
    """Write all pictures or, where one cannot be drawn, none."""
    from xray.evaluation.inspection.saliency_plots import scan_explanation
    from xray.labels import finding_in

    folder = next(iter(plots.values())).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".maps-", dir=folder) as scratch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font has not
        for name, each in explained.items():
            answer, column = each.answer, score_column(each.answer)
            words = (
                f"{column} {answer[column]:.4f}, decision {answer['decision']} "
                f"(threshold {answer['threshold']:.4f})\nmodel {answer['model_version'] or uri}\n{safety}"
            )
            figure = scan_explanation(each.pixels, each.heat, Path(name).name, words, finding_in(answer))
            figure.savefig(Path(scratch) / plots[name].name)
        for picture in plots.values():
            os.replace(Path(scratch) / picture.name, picture)
