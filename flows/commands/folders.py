"""Folders of scans to work on: phantom, download."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import Data, app, command
from xray.data.sources.file_listing import visible
from xray.errors import XrayError


@app.command(epilog="Example: [bold]xray phantom phantoms --scans 400 --size 224x224[/bold]")
def phantom(
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.", show_default=False)],
    scans: Annotated[int, typer.Option("--scans", help="Number of scans.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same scans.")] = 0,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Width and height, in pixels.")] = "224x224",
    layout: Annotated[
        str, typer.Option("--layout", help="Layout: coronahack, class-folders, table or dicom.")
    ] = "coronahack",
    finding: Annotated[
        str, typer.Option("--finding", help="Finding of the scans that are not normal, such as tuberculosis.")
    ] = "pneumonia",
) -> None:
    """Draw a synthetic data set, in CoronaHack's layout or another one."""
    from xray.data.phantoms.write_phantoms import write_phantoms

    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise XrayError(f"--size must be WxH, such as 224x224. Received: {size}")
    write_phantoms(folder, scans=scans, seed=seed, size=(int(width), int(height)), layout=layout, finding=finding)
    typer.echo(f"{scans:,} phantoms in {visible(str(folder))}")
    scheme = ("--set", f"labels.scheme={finding}.toml") if finding != "pneumonia" else ()
    if scheme:
        typer.echo(f'scheme   write into {finding}.toml: finding = "{finding}", and classes = ["{finding}", "normal"]')
    typer.echo(f"run      {visible(command('run', folder, '--recipe', 'quick', *scheme))}")


@app.command(epilog="Example: [bold]xray describe my-scans --write[/bold]")
def describe(
    data: Data,
    write: Annotated[bool, typer.Option("--write", help="Write a first dataset.toml into the folder.")] = False,
) -> None:
    """Show what a folder of scans would be read as, and a first dataset.toml to edit."""
    from flows.console import console, show_table
    from xray.data.sources import describe as library
    from xray.data.sources.dataset_file import DATASET_FILE, write_dataset_file
    from xray.files.s3 import data_path

    folder = data_path(data)
    found = library.describe(folder)
    console.print(f"{data}: {found.kind}", soft_wrap=True)
    for title, table in found.tables.items():
        show_table(title, table.columns, table.rows)
    if write:
        write_dataset_file(folder, found.toml)
        console.print(f"written  {data}/{DATASET_FILE}", soft_wrap=True)
        console.print(f"look     {command('describe', data)}", soft_wrap=True)
        return
    if not (folder / DATASET_FILE).exists():
        console.print(f"a first {DATASET_FILE}, which --write puts into the folder:\n\n{found.toml}", soft_wrap=True)
    if found.fault:
        raise XrayError(found.fault)
    scheme = ("--set", "labels.scheme=mine.toml") if found.finding else ()
    if found.finding:
        console.print(f"scheme   write mine.toml for {found.finding}: docs/your-own-scans.md", soft_wrap=True)
    console.print(f"run      {command('run', data, '--recipe', 'quick', *scheme)}", soft_wrap=True)


@app.command(epilog="Example: [bold]xray download coronahack[/bold]")
def download(
    folder: Annotated[Path, typer.Argument(help="A new folder.", show_default=False)],
) -> None:
    """Download the public CoronaHack scans from Kaggle."""
    from xray.data.sources.download import download as fetch

    fetch(folder)
    typer.echo(f"the scans are in {visible(str(folder))}")
    typer.echo(f"run      {visible(command('run', folder))}")
