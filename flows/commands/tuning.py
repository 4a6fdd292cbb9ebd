"""The best values of a recipe, searched: tune."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.commands.app import Dask, Data, Home, Prepared, Recipe, Settings, app, settled

if TYPE_CHECKING:
    from xray.config import Request
    from xray.registry.searched import Searched


@app.command(epilog="Example: [bold]xray tune ../coronahack --recipe quick --trials 20 --set training.epochs=5[/bold]")
def tune(
    data: Data,
    recipe: Recipe = "default",
    *,
    trials: Annotated[
        int, typer.Option("--trials", min=1, max=10_000, help="Trials in all; those that are there count.")
    ] = 20,
    space: Annotated[
        Path | None, typer.Option("--space", metavar="FILE", help="A .toml file of keys and their values.")
    ] = None,
    objective: Annotated[
        Literal["val_loss", "val_auc"], typer.Option("--objective", help="The figure on VALIDATION to search by.")
    ] = "val_loss",
    startup_trials: Annotated[
        int, typer.Option("--startup-trials", min=0, help="Prune none before so many are complete.")
    ] = 5,
    warmup_epochs: Annotated[
        int, typer.Option("--warmup-epochs", min=0, help="Prune none in its first epochs, so many.")
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
    """Search a recipe's best values by VALIDATION scans, and prune trials that lag. TEST is not looked at."""
    settled(home, trains=True)
    from flows.refusals import checked_request, require_cluster
    from xray.training.search import DEFAULT_SPACE, Search, load_space

    require_cluster(dask)
    search = Search(
        space=load_space(space or DEFAULT_SPACE),
        trials=trials,
        objective=objective,
        startup_trials=startup_trials,
        warmup_epochs=warmup_epochs,
    )
    request = checked_request(data, recipe, settings or [], home, trains=True, search=search, prepared=prepared)
    from pydantic import SecretStr

    from flows.environment import served
    from flows.screen import watching
    from flows.tuning import tune as flow

    with served(home, "xray.data.prepare", "xray.registry.study"), watching():
        searched = flow(request, search=search, storage=SecretStr(storage) if storage else None, dask=dask)
    _show(searched, request)


def _show(searched: "Searched", request: "Request") -> None:
    from flows.screen import console, show_table
    from xray.registry.card import SAFETY

    counts = ", ".join(f"{count} {word}" for word, count in searched.counts.items())
    show_table(f"{request.config.recipe}, best trials on VALIDATION", *searched.table())
    console.print(f"trials   {counts}{'' if searched.tried else ' (all were there: nothing was trained)'}")
    console.print(f"run      {searched.run_id}")
    if searched.best is None:
        console.print("No trial came to its end, so none is best.")
    else:
        best = request.model_copy(update={"config": searched.best.config})
        console.print(f"best     trial {searched.best.number}; to evaluate and register it:")
        console.print(f"         {best.command}", soft_wrap=True)
    console.print(SAFETY, style="dim")
