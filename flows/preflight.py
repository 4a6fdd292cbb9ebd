"""Checks before Prefect and TensorFlow start; each failure is one line."""

import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tasks.cluster.extra import require_dask
from xray.config import Config, Promotion, Request, Workspace, at_server, load_config
from xray.errors import XrayError
from xray.files.s3 import DataPath, S3Path, data_path
from xray.training.networks.pretrained import weights_file
from xray.tuning.search_space import Search, applied

ANSWER_SECONDS = 10.0
"""How long a scheduler is waited for."""

LEAST_ROOM = 2**20
"""Bytes that a home's disk must still take: less ends the first write of a database."""


def checked_request(
    data: Path | str | Sequence[Path | str],
    recipe: str,
    settings: Sequence[str],
    home: Path,
    trains: bool,
    search: Search | None = None,
    prepared: str | None = None,
) -> Request:
    """Read a recipe and look at the metadata, so that what cannot succeed is known at once.

    Args:
        data: The folder of scans, or its s3:// address; or several.
        recipe: A shipped recipe, or a `.toml` file.
        settings: `KEY=VALUE`, each.
        home: Holds data/ and mlruns/; made if it does not exist.
        trains: Whether a network will be trained.
        search: What is searched, if anything.
        prepared: The s3:// address of what is prepared, where that is shared.

    Raises:
        XrayError: A recipe, setting, data folder, space, home or address that cannot be used, scans that no seed could
            split, or weights to start from that cannot be had.
    """
    config = load_config(recipe, settings)
    given = [data] if isinstance(data, Path | str) else list(data)
    for each in given:
        require_text(each, "the data folder")
    scans = [data_path(each) for each in given]
    shared = None if prepared is None else _shared(prepared)
    # A mistake is told in the user's own words.
    typed = [at if isinstance(at, S3Path) else Path(each) for at, each in zip(scans, given, strict=True)]
    _require_scans(typed, config, trains)
    if search is not None:
        _require_searchable(typed, config, search)
    require_writable(home)
    if trains:
        weights_file(config.model)
    file = Path(recipe).resolve() if recipe.endswith(".toml") else None
    first, *others = scans
    return Request(
        data=first, others=tuple(others), home=home.resolve(), config=config, prepared=shared, recipe_file=file
    )


def held_out_settings(data: Sequence[str]) -> list[str]:
    """Give the settings by which each source of a data set is a fold.

    Args:
        data: Folders of scans.

    Raises:
        XrayError: A folder cannot be read, or there is one source alone.
    """
    from xray.data.sources.read_sources import joined, read_sources

    rows = joined(read_sources([data_path(each) for each in data])[1]).rows
    sources = sorted(rows.loc[rows["official"] != "test", "source"].unique())
    if len(sources) < 2:
        raise XrayError(f"--leave-one-source-out needs at least two sources. Received: {', '.join(sources) or 'none'}")
    return ["split.group_by=source", f"split.folds={len(sources)}", "split.validation_fold=0"]


def checked_policy(settings: Sequence[str], force: bool, reason: str) -> Promotion:
    """Read the promotion policy with its changes.

    Args:
        settings: `promotion.KEY=VALUE`, each.
        force: Whether the policy is overruled.
        reason: Why.

    Raises:
        XrayError: Force without a reason, or a setting that is none of the policy's.
    """
    if force and not reason.strip():
        raise XrayError("--force needs --reason, which is stored in the history. Received: no reason")
    others = [setting for setting in settings if not setting.strip().startswith("promotion.")]
    if others:
        raise XrayError(f"--set must be promotion.KEY=VALUE here. Received: {others[0]}")
    return load_config("default", settings).promotion


def require_store(home: Path) -> None:
    """Refuse a home that no run has used, rather than make an empty store there.

    Raises:
        XrayError: There is no mlruns/ in it, and no server is named either.
    """
    folder = Workspace(home=home.resolve()).mlruns
    if not folder.is_dir() and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise XrayError(f"--home must contain a run: start with xray demo or xray run. Received: no folder {folder}")


def require_cluster(dask: str | None) -> None:
    """Refuse a cluster that cannot be had, before Prefect and Dask start.

    Args:
        dask: A Dask scheduler's address, or `local`; None asks for nothing.

    Raises:
        XrayError: The extra is not installed, it is no address, or nothing answers there.
    """
    if not dask:
        return
    require_dask()
    if dask == "local":
        return
    wanted = f"--dask must name a Dask scheduler that answers, or local. Received: {dask}"
    try:
        place = urlsplit(dask if "://" in dask else f"tcp://{dask}")
        host, port = place.hostname, place.port
    except ValueError as error:
        raise XrayError(f"{wanted} ({error})") from error
    if not host or not port:
        raise XrayError(f"{wanted} (an address is PROTOCOL://HOST:PORT)")
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise XrayError(f"{wanted} ({error.strerror or error})") from error


def require_free(port: int, option: str = "--port") -> None:
    """Refuse a port of this machine that something listens on.

    Args:
        port: 1 to 65535.
        option: What the user sets it with.

    Raises:
        XrayError: It is taken, or not ours to take.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise XrayError(f"{option} must be free. Received: {port} ({error.strerror})") from error


def require_file(path: Path, option: str) -> None:
    """Refuse a file that is not there.

    Args:
        path: What the user named.
        option: What it was named with.

    Raises:
        XrayError: It is no file.
    """
    if not path.is_file():
        raise XrayError(f"{option} must be a file. Received: {path}")


def require_text(path: Path | str, option: str) -> None:
    """Refuse a path that is no text: databases, MLflow and Prefect keep it as UTF-8.

    Args:
        path: What the user named; a path on disk counts with the folder that it is relative to.
        option: What it was named with.

    Raises:
        XrayError: A part of it is no UTF-8.
    """
    try:
        str(Path(path).absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise XrayError(f"{option} must have a path in UTF-8. Received: {path}") from error


def require_writable(home: Path) -> None:
    """Refuse a home that cannot be written, or whose disk is full; make one that is not there.

    Raises:
        XrayError: It cannot be written, its disk has no room, or its path is no text.
    """
    require_text(home, "--home")
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(bytes(LEAST_ROOM))
    except OSError as error:
        raise XrayError(f"--home must be a writable folder. Received: {home} ({error.strerror})") from error


def _shared(prepared: str) -> S3Path:
    """Refuse an address that is none, and a bucket that is not there."""
    address = at_server(prepared)
    if not S3Path(address.bucket).exists():
        raise XrayError(f"--prepared must be in an existing bucket. Received: {address}")
    return address


def _require_searchable(data: Sequence[DataPath], config: Config, search: Search) -> None:
    """Refuse a search that some trial could not start."""
    search.require_fits(config)
    batches = search.space.get("training.batch_size")
    if batches is not None:
        configs = [applied(config, {"training.batch_size": size}) for size in batches.corners]
        largest = max(configs, key=lambda each: each.training.batch_size)  # the others need fewer scans
        _require_scans(data, largest, trains=True)


def _require_scans(data: Sequence[DataPath], config: Config, trains: bool) -> None:
    from xray.data.sources.read_sources import joined, read_sources
    from xray.data.split_checks import require_covered, require_files, require_splittable, with_patients

    metadata = joined(read_sources(data)[1])
    rows = metadata.rows
    require_files(len(rows), metadata.rejects, config.scans)
    with_patients(rows, config.split)
    if trains:
        require_covered(rows, config.labels.told_apart)
    require_splittable(rows, config.split)
    learned = rows[rows["official"] != "test"]
    if not trains:
        return
    if len(learned) < config.training.batch_size:
        raise XrayError(
            f"training needs at least one batch of {config.training.batch_size} scans. Received: {len(learned)}"
        )
    scheme = config.labels.told_apart
    index = scheme.class_index(learned["subtype"].tolist())
    for place, name in enumerate(scheme.classes):
        if not (index == place).any():
            raise XrayError(
                f"labels.scheme={config.labels.scheme} needs TRAIN scans of each class. Received: no {name}"
            )
