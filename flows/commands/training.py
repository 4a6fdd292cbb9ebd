"""From a folder of scans to a registered model, or to a recipe's spread: run, cross-validate, prepare, demo."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import Dask, Data, Home, Prepared, Recipe, Settings, app, placed, settled, typed

DEMO_SCANS = 600


@app.command(epilog="Example: [bold]xray run ../coronahack --recipe article --set training.epochs=20[/bold]")
def run(
    data: Data,
    recipe: Recipe = "default",
    settings: Settings = None,
    dask: Dask = None,
    home: Home = Path(),
    prepared: Prepared = None,
) -> None:
    """Clean, audit, split, normalize, train, evaluate and register: the whole pipeline."""
    _run(data, recipe, settings or [], home, dask, prepared)


@app.command(epilog="Example: [bold]xray cross-validate ../coronahack --recipe quick --set split.folds=3[/bold]")
def cross_validate(
    data: Data,
    recipe: Recipe = "default",
    settings: Settings = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=20, help="Train each fold with so many seeds.")] = 1,
    dask: Dask = None,
    home: Home = Path(),
    prepared: Prepared = None,
) -> None:
    """Train on every fold, for mean, spread and out-of-fold scores. No model is registered."""
    settled(home, trains=True)
    from flows.refusals import checked_request, require_cluster

    require_cluster(dask)
    request = checked_request(data, recipe, settings or [], home, trains=True, prepared=prepared)
    from flows.cross_validation import cross_validate as flow
    from flows.environment import served
    from flows.screen import console, show_table, watching

    with served(home, "xray.data.prepare", "xray.registry.family"), watching():
        family = flow(request, seeds=seeds, dask=dask)
    from xray.registry.card import SAFETY

    for title, (columns, rows) in family.summary.tables().items():
        show_table(f"{request.config.recipe}, {title}", columns, rows)
    console.print(f"run      {family.run_id}{' (reused)' if family.summary.reused else ''}")
    console.print(f"scores   {family.summary.out_of_fold}", soft_wrap=True)
    console.print(SAFETY, style="dim")


@app.command(epilog="Example: [bold]xray prepare ../coronahack --set images.height=224 --set images.width=224[/bold]")
def prepare(
    data: Data,
    recipe: Recipe = "default",
    settings: Settings = None,
    dask: Dask = None,
    home: Home = Path(),
    prepared: Prepared = None,
) -> None:
    """Go as far as the catalog and the pixel store, and print the counts and the audit's findings."""
    settled(home)
    from flows.refusals import checked_request, require_cluster

    require_cluster(dask)
    request = checked_request(data, recipe, settings or [], home, trains=False, prepared=prepared)
    from flows.environment import served
    from flows.pipeline import prepare as prepare_flow
    from flows.screen import console, show_table, watching

    with served(home, "xray.data.prepare"), watching():
        catalog = prepare_flow(request, dask=dask)
    from xray.data.audit import lines

    rejects = catalog.rejects()["reason"].value_counts()
    show_table("Audit", ("finding", "value"), lines(catalog.findings()))
    show_table("Left out", ("reason", "scans"), [(reason, f"{count:,}") for reason, count in rejects.items()])
    console.print(f"catalog {catalog.folder}{' (reused)' if catalog.reused else ''}", soft_wrap=True)


@app.command(epilog="Example: [bold]xray demo[/bold]")
def demo(home: Home = Path()) -> None:
    """Make a phantom data set and run the whole pipeline on it, in under three minutes."""
    settled(home, trains=True)
    data = home / "data" / "demo-phantoms"
    from xray.data.metadata import METADATA_NAME
    from xray.data.phantom import write_phantoms

    if not (data / METADATA_NAME).is_file():  # it comes last
        shutil.rmtree(data, ignore_errors=True)  # what a demo left that was killed
        write_phantoms(data, scans=DEMO_SCANS, seed=0, size=(224, 224))
    _run(str(data), "quick", ["registry.experiment=xray-demo", "registry.model_name=xray-classifier-demo"], home)


def _run(
    data: str, recipe: str, settings: list[str], home: Path, dask: str | None = None, prepared: str | None = None
) -> None:
    settled(home, trains=True)
    from flows.refusals import checked_request, require_cluster

    require_cluster(dask)
    request = checked_request(data, recipe, settings, home, trains=True, prepared=prepared)
    from flows.environment import served
    from flows.pipeline import pipeline
    from flows.screen import console, show_table, watching

    with served(home, "xray.data.prepare", "xray.registry.record"), watching():
        recorded = pipeline(request, dask=dask)
    from xray.evaluation.report import COLUMNS
    from xray.registry.card import SAFETY
    from xray.registry.seeds import Repeated

    report = recorded.judged.report()
    show_table(f"{request.config.recipe}, on TEST", COLUMNS, report["rows"])
    if isinstance(recorded, Repeated):
        show_table(f"{request.config.recipe}, {len(recorded.seeds)} seeds, run {recorded.parent}", *recorded.table())
    registered = recorded.registered
    alias = ", challenger" if registered.challenger else ""
    console.print(f"model    {registered.uri}{alias}{' (reused)' if registered.reused else ''}")
    console.print(f"run      {recorded.run_id}")
    console.print(f"scores   {recorded.judged.folder / 'scores.parquet'}", soft_wrap=True)
    console.print("MLflow  ", recorded.page or f"{typed('xray')} ui{placed(home)}", soft_wrap=True)
    page = os.environ.get("PREFECT_API_URL", f"{typed('xray')} up{placed(home)}").removesuffix("/api")
    console.print(f"Prefect  {page}", soft_wrap=True)
    console.print(SAFETY, style="dim")
