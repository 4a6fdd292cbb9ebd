"""A model over a folder of new scans: score."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import DEFAULT_NAME, Dask, Home, app, configure_environment, pages, show_next_steps
from xray.errors import XrayError


@app.command(epilog="Example: [bold]xray score inbox --output scores[/bold]")
def score(
    folder: Annotated[Path, typer.Argument(help="Folder of new scans, subfolders included.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", help="Folder for the scores.", show_default=False)],
    rescore: Annotated[bool, typer.Option("--rescore", help="Score also what other versions have scored.")] = False,
    model_name: Annotated[str, typer.Option("--model-name", help="The registered model.")] = DEFAULT_NAME,
    dask: Dask = None,
    home: Home = Path(),
) -> None:
    """Score the new scans in a folder, and say whether they differ from those that the model was made from."""
    from flows.preflight import require_cluster, require_store, require_text
    from xray.scoring.inbox import require_outside

    if not folder.is_dir():
        raise XrayError(f"the inbox must be an existing folder. Received: {folder}")
    require_text(folder, "the inbox")
    require_text(output, "--output")
    require_outside(output, folder)
    require_store(home)
    require_cluster(dask)
    configure_environment(home)
    from flows.console import show_safety, show_table, working
    from flows.scoring import score as flow
    from flows.servers.environment import served
    from xray.config import Workspace

    with working(served(home, _imports)):
        from xray.scoring.select_model import select_model

        # Refused here, it does not stand among Prefect's failed runs.
        select_model(Workspace(home=home.resolve()), model_name)
        ended = flow(folder, output, rescore=rescore, model_name=model_name, home=home, dask=dask)

    scored = ended.scored
    show_table(
        f"{ended.choice.uri} ({ended.choice.how})", ("what", "number"), [list(row.values()) for row in scored.rows()]
    )
    for report in ended.reports:
        rows = report.values()["rows"]
        if rows:
            show_table(f"Drift, run {report.entry.name}", list(rows[0]), [list(row.values()) for row in rows])
    ends = {} if scored.entry else {"scores": f"no new scans: no file was written in {output}"}
    for path in (scored.entry.scores, scored.entry.rejects) if scored.entry else ():
        if path.exists():
            ends[path.name.partition("-")[0]] = str(path)
    show_next_steps(ends)
    for run_id in ended.run_ids:
        show_next_steps({"run": run_id, **pages(Workspace(home=home.resolve()), run_id, home)})
    show_safety()


def _imports() -> None:
    """Load what the flow needs, which takes as long as Prefect's server does to start."""
    import xray.scoring.score_inbox  # noqa: F401
