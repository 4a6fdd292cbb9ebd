"""The `xray` command."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from xray.errors import XrayError

app = typer.Typer(
    help="Tell pneumonia from normal lungs on chest X-rays. It supports a doctor's judgement and never replaces it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Data = Annotated[Path, typer.Argument(help="Folder of scans with their metadata.", show_default=False)]
Home = Annotated[Path, typer.Option("--home", envvar="XRAY_HOME", help="Folder that holds data/ and mlruns/.")]
Recipe = Annotated[str, typer.Option("--recipe", help="A shipped recipe, or a .toml file.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; can be repeated.")
]

USER_ERROR = 2
INTERRUPTED = 130


def main() -> None:
    """Run the command; an error that is the user's to mend ends in one line and exit code 2."""
    try:
        app()
    except XrayError as error:
        _fail(str(error), USER_ERROR)
    except OSError as error:  # a full disk, a folder taken away: the system's words name it
        _fail(f"the system refused: {error}", USER_ERROR)
    except (KeyboardInterrupt, SystemExit) as stop:
        # Typer answers Ctrl-C itself, with this code and no word.
        if isinstance(stop, SystemExit) and stop.code != INTERRUPTED:
            raise
        _fail("interrupted; given again, the same command goes on from what is finished", INTERRUPTED)


@app.command(epilog="Example: [bold]xray run ../coronahack --recipe article --set training.epochs=20[/bold]")
def run(data: Data, recipe: Recipe = "article", settings: Settings = None, home: Home = Path()) -> None:
    """Clean, audit, split, normalize, train, evaluate and register: the whole pipeline."""
    _run(data, recipe, settings or [], home)


@app.command(epilog="Example: [bold]xray prepare ../coronahack --set images.height=224 --set images.width=224[/bold]")
def prepare(data: Data, recipe: Recipe = "article", settings: Settings = None, home: Home = Path()) -> None:
    """Go as far as the catalog and the pixel store, and print the counts and the audit's findings."""
    _settle(home, trains=False)
    from flows.refusals import checked_request

    request = checked_request(data, recipe, settings or [], home, trains=False)
    from flows.environment import served
    from flows.pipeline import prepare as prepare_flow
    from flows.screen import console, show_table, watching

    with served(), watching():
        catalog = prepare_flow(request)
    from xray.data.audit import lines

    rejects = catalog.rejects()["reason"].value_counts()
    show_table("Audit", ("finding", "value"), lines(catalog.findings()))
    show_table("Left out", ("reason", "scans"), [(reason, f"{count:,}") for reason, count in rejects.items()])
    console.print(f"catalog {catalog.folder}{' (reused)' if catalog.reused else ''}", soft_wrap=True)


@app.command(epilog="Example: [bold]xray demo[/bold]")
def demo(home: Home = Path()) -> None:
    """Make a phantom data set and run the whole pipeline on it, in under three minutes."""
    _settle(home, trains=True)
    data = home / "data" / "demo-phantoms"
    from xray.data.metadata import METADATA_NAME
    from xray.data.phantom import write_phantoms

    if not (data / METADATA_NAME).is_file():  # it comes last
        shutil.rmtree(data, ignore_errors=True)  # what a demo left that was killed
        write_phantoms(data, scans=DEMO_SCANS, seed=0, size=(224, 224))
    _run(data, "quick", ["registry.experiment=xray-demo", "registry.model_name=xray-classifier-demo"], home)


@app.command(epilog="Example: [bold]xray predict scan.jpeg other.png --json[/bold]")
def predict(
    files: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    model: Annotated[str | None, typer.Option("--model", help="A model's address, such as models:/NAME/1.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    home: Home = Path(),
) -> None:
    """Give the probability of pneumonia, a decision and the model's version for each file."""
    from flows.refusals import read_file, require_store

    contents = [read_file(path) for path in files]
    if model is None or model.startswith(("models:", "runs:")):
        require_store(home)
    _settle(home, trains=False)
    from flows.screen import console, show_table
    from tasks.libraries import load
    from xray.config import Places, Registry
    from xray.registry.card import SAFETY

    load("xray.training.architectures")  # Keras and TensorFlow, which loading the model would start with their noise
    promotion = load("xray.registry.promotion")
    places = Places(home=home.resolve())
    choice = promotion.Choice(model, None, "as asked") if model else promotion.resolve(places, Registry().model_name)
    scores = promotion.score_files(places, choice.uri, contents)
    rows = [
        {"file": str(path), **row, "model": choice.uri, "chosen": choice.how}
        for path, row in zip(files, scores, strict=True)
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
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


@app.command(epilog="Example: [bold]xray phantom phantoms --scans 400 --size 224x224[/bold]")
def phantom(
    folder: Annotated[Path, typer.Argument(help="A folder that is empty or not there.", show_default=False)],
    scans: Annotated[int, typer.Option("--scans", help="How many.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same scans.")] = 0,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Width and height, in pixels.")] = "224x224",
) -> None:
    """Draw a synthetic data set in CoronaHack's layout."""
    from xray.data.phantom import write_phantoms

    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise XrayError(f"--size must be WxH, such as 224x224. Received: {size}")
    write_phantoms(folder, scans=scans, seed=seed, size=(int(width), int(height)))
    typer.echo(f"{scans:,} phantoms in {folder}")


@app.command(epilog="Example: [bold]xray download coronahack[/bold]")
def download(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.", show_default=False)],
) -> None:
    """Fetch the public CoronaHack scans from Kaggle."""
    from xray.data.download import download as fetch

    fetch(folder)
    typer.echo(f"the scans are in {folder}")


@app.command(epilog="Example: [bold]xray ui --port 5000[/bold]")
def ui(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="A free port.")] = 5000, home: Home = Path()
) -> None:
    """Start MLflow's own UI on the store under mlruns/, on 127.0.0.1 alone."""
    from flows.refusals import require_free, require_store

    require_free(port)
    require_store(home)
    _settle(home, trains=False)
    from xray.config import Places
    from xray.registry.store import ui_command

    command = ui_command(Places(home=home.resolve()), port)
    # Without the workflow's type MLflow opens the page that it has for language models.
    typer.echo(f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning (Ctrl-C ends it)")
    sys.stdout.flush()
    os.execvp(command[0], command)


DEMO_SCANS = 600


def _run(data: Path, recipe: str, settings: list[str], home: Path) -> None:
    _settle(home, trains=True)
    from flows.refusals import checked_request

    request = checked_request(data, recipe, settings, home, trains=True)
    from flows.environment import served
    from flows.pipeline import pipeline
    from flows.screen import console, show_table, watching

    with served(), watching():
        recorded = pipeline(request)
    from xray.evaluation.report import COLUMNS
    from xray.registry.card import SAFETY

    report = recorded.judged.report()
    show_table(f"{request.config.recipe}, on TEST", COLUMNS, report["rows"])
    registered, place = recorded.registered, "" if home == Path() else f" --home {home}"
    alias = ", challenger" if registered.challenger else ""
    console.print(f"model    {registered.uri}{alias}{' (reused)' if registered.reused else ''}")
    console.print(f"run      {recorded.run_id}")
    console.print(f"scores   {recorded.judged.folder / 'scores.parquet'}", soft_wrap=True)
    console.print(f"MLflow   {_command('xray')} ui{place}", soft_wrap=True)
    server = f"PREFECT_HOME={os.environ['PREFECT_HOME']} {_command('prefect')} server start"
    console.print(f"Prefect  {server}", soft_wrap=True)
    console.print(SAFETY, style="dim")


def _command(name: str) -> str:
    """Name a command of this environment so that it can be typed here as it is printed."""
    path = Path(sys.executable).parent / name
    return name if shutil.which(name) == str(path) else min(str(path), os.path.relpath(path), key=len)


def _settle(home: Path, trains: bool) -> None:
    from flows.environment import settle

    settle(home.resolve(), trains)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"xray: {' '.join(message.split())}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
