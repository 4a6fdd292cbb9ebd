"""The best values of a recipe, searched: tune."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.commands.app import (
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
    from xray.tuning.study_run import StudyResult


@app.command(epilog="Example: [bold]xray tune ../coronahack --recipe quick --trials 20 --set training.epochs=5[/bold]")
def tune(
    data: DataFolders,
    recipe: Recipe = "default",
    *,
    trials: Annotated[
        int, typer.Option("--trials", min=1, max=10_000, help="Total number of trials, existing ones included.")
    ] = 20,
    space: Annotated[
        Path | None, typer.Option("--space", metavar="FILE", help="A .toml file of settings and their values.")
    ] = None,
    objective: Annotated[
        Literal["val_loss", "val_auc"], typer.Option("--objective", help="The VALIDATION metric to optimize.")
    ] = "val_loss",
    startup_trials: Annotated[
        int, typer.Option("--startup-trials", min=0, help="Completed trials before pruning starts.")
    ] = 5,
    warmup_epochs: Annotated[
        int, typer.Option("--warmup-epochs", min=0, help="Epochs of each trial before it can be pruned.")
    ] = 2,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="URL", envvar="XRAY_STUDY_STORAGE", help="The study's database; else a file in --home."
        ),
    ] = None,
    dask: Dask = None,
    settings: Settings = None,
    home: Home = Path(),
    prepared: Prepared = None,
) -> None:
    """Search the best values of a recipe with the VALIDATION scans, and stop bad trials early. TEST is not used."""
    configure_environment(home, trains=True)
    from flows.preflight import checked_request, require_cluster
    from xray.tuning.search_space import DEFAULT_SPACE, Search, load_space

    require_cluster(dask)
    search = Search(
        space=load_space(space or DEFAULT_SPACE),
        trials=trials,
        objective=objective,
        startup_trials=startup_trials,
        warmup_epochs=warmup_epochs,
    )
    request = checked_request(data, recipe, settings or [], home, trains=True, search=search, prepared=prepared)
    show_recipe(request)
    from pydantic import SecretStr

    from flows.console import working
    from flows.servers.environment import served
    from flows.tuning import tune as flow

    with working(served(home, _imports)):
        searched = flow(request, search=search, storage=SecretStr(storage) if storage else None, dask=dask)
    _show(searched, request, home)


def _show(searched: "StudyResult", request: "Request", home: Path) -> None:
    from flows.console import show_safety, show_table

    counts = ", ".join(f"{count} {word}" for word, count in searched.counts.items())
    show_table(f"{request.config.recipe}, best trials on VALIDATION", *searched.table())
    best = searched.best
    ends = {
        "trials": f"{counts}{'' if searched.tried else ' (all existed already: nothing was trained)'}",
        "run": searched.run_id,
        **pages(request.workspace, searched.run_id, home),
        "best": f"trial {best.number}; to evaluate and register it:" if best else "none: no trial was completed",
    }
    show_next_steps(ends)
    if best is not None:
        chosen = request.model_copy(update={"config": best.config})
        show_next_steps({"": command(*chosen.arguments)})
    show_safety()


def _imports() -> None:
    """Load what the flow needs, which takes as long as Prefect's server does to start."""
    import xray.data.prepare
    import xray.tuning.study  # noqa: F401
