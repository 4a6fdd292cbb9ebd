"""From a folder of scans to a registered model, or to a recipe's spread: run, cross-validate, prepare, demo."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.app import (
    DEFAULT_NAME,
    Dask,
    DataFolders,
    Home,
    Prepared,
    Recipe,
    Settings,
    app,
    command,
    configure_environment,
    pages,
    show_next_steps,
    show_recipe,
)

if TYPE_CHECKING:
    from xray.config import Request
    from xray.runs.training_run import Recorded

DEMO_SCANS = 600


@app.command(epilog="Example: [bold]xray run ../coronahack --recipe article --set training.epochs=20[/bold]")
def run(
    data: DataFolders,
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
    data: DataFolders,
    recipe: Recipe = "default",
    settings: Settings = None,
    *,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=20, help="Number of seeds to train each fold with.")] = 1,
    leave_one_source_out: Annotated[
        bool, typer.Option("--leave-one-source-out", help="Hold out each source in turn: a fold is a source.")
    ] = False,
    dask: Dask = None,
    home: Home = Path(),
    prepared: Prepared = None,
) -> None:
    """Train on every fold: mean, spread and out-of-fold scores. No model is registered."""
    configure_environment(home, trains=True)
    from flows.preflight import held_out_settings

    settings = [*(settings or []), *(held_out_settings(data) if leave_one_source_out else [])]
    from flows.preflight import checked_request, require_cluster

    require_cluster(dask)
    request = checked_request(data, recipe, settings, home, trains=True, prepared=prepared)
    show_recipe(request)
    from flows.console import show_safety, show_table, working
    from flows.cross_validation import cross_validate as flow
    from flows.servers.environment import served

    with working(served(home, _import_folds)):
        family = flow(request, seeds=seeds, dask=dask)

    for title, (columns, rows) in family.summary.tables().items():
        show_table(f"{request.config.recipe}, {title}", columns, rows)
    ends = {
        "run": f"{family.run_id}{' (reused)' if family.summary.reused else ''}",
        "scores": str(family.summary.out_of_fold),
        **pages(request.workspace, family.run_id, home),
        "register": command(*request.arguments),
    }
    show_next_steps(ends)
    show_safety()


@app.command(epilog="Example: [bold]xray prepare ../coronahack --set images.height=224 --set images.width=224[/bold]")
def prepare(
    data: DataFolders,
    recipe: Recipe = "default",
    settings: Settings = None,
    dask: Dask = None,
    home: Home = Path(),
    prepared: Prepared = None,
) -> None:
    """Clean, decode and audit without training: make catalog and pixel store, and print the audit's findings."""
    configure_environment(home)
    from flows.preflight import checked_request, require_cluster

    require_cluster(dask)
    request = checked_request(data, recipe, settings or [], home, trains=False, prepared=prepared)
    show_recipe(request)
    from flows.console import show_table, working
    from flows.pipeline import prepare as prepare_flow
    from flows.servers.environment import served

    with working(served(home, _import_data)):
        catalog = prepare_flow(request, dask=dask)
    from xray.data.audit import left_out, lines

    reasons = catalog.rejects()["reason"]
    rejects = reasons.value_counts()
    show_table("Audit", ("finding", "value"), lines(catalog.findings()))
    if len(rejects):
        show_table("Left out", ("reason", "scans"), [(reason, f"{count:,}") for reason, count in rejects.items()])
    found = f"{catalog.folder}{' (reused)' if catalog.reused else ''}"
    show_next_steps({"catalog": found, "left out": left_out(reasons), "train": command(*request.arguments)})


@app.command(epilog="Example: [bold]xray demo[/bold]")
def demo(home: Home = Path()) -> None:
    """Make a set of phantoms (synthetic scans) and run the whole pipeline on it, in under three minutes."""
    configure_environment(home, trains=True)
    data = home / "data" / "demo-phantoms"
    from xray.data.phantoms.write_phantoms import write_phantoms
    from xray.data.sources.coronahack import METADATA_NAME

    if not (data / METADATA_NAME).is_file():  # it comes last
        from flows.console import watching
        from tasks.progress import doing

        shutil.rmtree(data, ignore_errors=True)  # what a demo left that was killed
        with watching(), doing(f"drawing {DEMO_SCANS} phantoms"):
            write_phantoms(data, scans=DEMO_SCANS, seed=0, size=(224, 224))
    _run([str(data)], "quick", ["registry.experiment=xray-demo", "registry.model_name=xray-classifier-demo"], home)


def _run(
    data: list[str], recipe: str, settings: list[str], home: Path, dask: str | None = None, prepared: str | None = None
) -> None:
    configure_environment(home, trains=True)
    from flows.preflight import checked_request, require_cluster

    require_cluster(dask)
    request = checked_request(data, recipe, settings, home, trains=True, prepared=prepared)
    show_recipe(request)
    from flows.console import show_safety, show_table, working
    from flows.pipeline import pipeline
    from flows.servers.environment import served

    with working(served(home, _import_training)):
        recorded = pipeline(request, dask=dask)
    from xray.evaluation.metrics.split_metrics import COLUMNS
    from xray.runs.seed_ensemble import RecordedEnsemble

    report = recorded.evaluated.report()
    show_table(f"{request.config.recipe}, on TEST", COLUMNS, report["rows"])
    if isinstance(recorded, RecordedEnsemble):
        show_table(f"{request.config.recipe}, {len(recorded.seeds)} seeds, run {recorded.parent}", *recorded.table())
    show_next_steps(_ends(request, recorded, home))
    show_safety()


def _ends(request: "Request", recorded: "Recorded", home: Path) -> dict[str, str]:
    from xray.runs.report_page import REPORT
    from xray.tracking.page_address import file_of

    version = recorded.registered
    named = [] if version.name == DEFAULT_NAME else ["--model-name", version.name]
    alias = ", challenger" if version.challenger else ""
    return {
        "model": f"{version.uri}{alias}{' (reused)' if version.reused else ''}",
        "": f"not challenger: {version.withheld}" if version.withheld else "",
        "left out": recorded.left_out,
        "note": recorded.limits,
        "promote": command("promote", version.version, *named, home=home),
        "run": recorded.run_id,
        "report": file_of(request.workspace, recorded.run_id, REPORT),
        "scores": str(recorded.evaluated.folder / "scores.parquet"),
        **pages(request.workspace, recorded.run_id, home),
    }


def _import_folds() -> None:
    """Load what the flow needs, which takes as long as Prefect's server does to start."""
    import xray.data.prepare
    import xray.runs.cross_validation_run  # noqa: F401


def _import_training() -> None:
    """Load what the flow needs, which takes as long as Prefect's server does to start."""
    import xray.data.prepare
    import xray.runs.training_run  # noqa: F401


def _import_data() -> None:
    """Load what the flow needs, which takes as long as Prefect's server does to start."""
    import xray.data.prepare  # noqa: F401
