"""Register a training's network, once: the same network with the same settings is one version."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from xray import config
from xray.evaluation.reporting.model_card import SAFETY
from xray.models.model_files import DIGEST_TAG, is_kept, is_whole, model_digest
from xray.models.package import Settings, save
from xray.models.registered_model import CHALLENGER, CHAMPION
from xray.tracking.owning_process import Owner
from xray.tracking.stale_runs import scratch_folder
from xray.tracking.store import reached
from xray.tracking.tracker import Tracker

logger = logging.getLogger(__name__)

ABOUT = (
    "Tells {finding} from normal on frontal chest X-rays. A version is a network with its own threshold; its text has "
    "its metrics on TEST, its run has all results. `{champion}` is the one in use, `{challenger}` the one that "
    "`xray promote` evaluates next. {safety}"
)
"""What MLflow shows as the registered model's description, Markdown."""


@dataclass(frozen=True)
class Registration:
    """What a version is registered as.

    Attributes:
        registry: The registered name, and whether the version takes the alias `challenger`.
        tags: Digests, recipe and commit; a None is left out.
        description: Markdown: one line of figures, which MLflow's list of versions shows, and the model card.
    """

    registry: config.Registry
    tags: Mapping[str, str | None]
    description: str


@dataclass(frozen=True)
class Registered:
    """A version in the registry.

    Attributes:
        name: Registered model.
        version: Its version, from "1".
        reused: Whether it was there already.
        challenger: Whether it bears the alias `challenger`.
        withheld: Why it does not, in words; "" where it does.
    """

    name: str
    version: str
    reused: bool
    challenger: bool
    withheld: str = ""

    @property
    def uri(self) -> str:
        """Its address, for `mlflow.pyfunc.load_model`."""
        return f"models:/{self.name}/{self.version}"


def register(tracker: Tracker, model: Path, settings: Settings, registration: Registration) -> Registered:
    """Log and register a network, or find the version that is the same network with the same settings.

    Args:
        tracker: The training's run.
        model: The training's `model.keras`.
        settings: What the scorer needs beside it.
        registration: Name, tags and card.

    Raises:
        RegistryError: The store cannot be reached.
    """
    digest = model_digest(model, settings.to_dict())

    def write(folder: Path, about: Model) -> None:
        save(folder, model, settings, about)

    return register_written(tracker, digest, write, settings.reading.finding, registration)


def register_written(
    tracker: Tracker, digest: str, write: Callable[[Path, Model], None], finding: str, registration: Registration
) -> Registered:
    """Log and register a model, or find the version of the same content.

    Args:
        tracker: The run that the version comes from.
        digest: Of the model's content, as `model_digest` names it.
        write: Writes the pyfunc into a folder that is not there, with MLflow's record of run and model.
        finding: What it tells from normal.
        registration: Name, tags and card.

    Raises:
        RegistryError: The store cannot be reached.
    """
    client, run_id = tracker.require()
    name = registration.registry.model_name
    with reached(tracker.store), tracker.store.current():
        found = _version_with(client, name, digest)
        if found is None:
            model_id = _logged(client, run_id, digest) or _log(client, run_id, digest, write)
            _ensure_name(client, name, finding)
            tags = {key: value for key, value in registration.tags.items() if value}
            found = client.create_model_version(
                name,
                source=f"models:/{model_id}",
                run_id=run_id,
                model_id=model_id,
                tags={**tags, "run_id": run_id, DIGEST_TAG: digest},
                description=registration.description,
            )
            created = True
        else:
            created = False
        withheld = _challenge(client, name, str(found.version), registration.registry.challenger)
    return Registered(name, str(found.version), not created, not withheld, withheld)


def _log(client: MlflowClient, run_id: str, digest: str, write: Callable[[Path, Model], None]) -> str:
    experiment = client.get_run(run_id).info.experiment_id
    tags = {DIGEST_TAG: digest, **Owner.this().tags()}
    logged = client.create_logged_model(experiment, name="model", source_run_id=run_id, tags=tags)
    about = Model(
        artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run_id, model_id=logged.model_id
    )
    with scratch_folder("xray-model") as scratch:
        folder = scratch / "model"
        write(folder, about)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _logged(client: MlflowClient, run_id: str, digest: str) -> str | None:
    """Find a model that was logged whole before a kill."""
    experiment = client.get_run(run_id).info.experiment_id
    words = f"source_run_id = '{run_id}' AND tags.{DIGEST_TAG} = '{digest}'"
    ready = [model for model in client.search_logged_models([experiment], words) if str(model.status) == "READY"]
    return next((str(model.model_id) for model in ready if is_kept(client, model.model_id, digest)), None)


def _version_with(client: MlflowClient, name: str, digest: str) -> ModelVersion | None:
    found = client.search_model_versions(f"name = '{name}' AND tags.{DIGEST_TAG} = '{digest}'")
    newest = max(found, key=lambda each: int(each.version), default=None)
    if newest is None or is_whole(client, newest):
        return newest
    logger.warning("the files of %s version %s are missing or differ: it is registered again", name, newest.version)
    return None


def _ensure_name(client: MlflowClient, name: str, finding: str) -> None:
    about = ABOUT.format(finding=finding, champion=CHAMPION, challenger=CHALLENGER, safety=SAFETY)
    try:
        client.create_registered_model(name, description=about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        if not client.get_registered_model(name).description:
            client.update_registered_model(name, about)


def _challenge(client: MlflowClient, name: str, version: str, wanted: bool) -> str:
    """Give a version the alias, or say why not: its recipe, another alias of its own, or a newer one's."""
    aliases = {alias: str(bearer) for alias, bearer in client.get_registered_model(name).aliases.items()}
    own = [alias for alias, bearer in aliases.items() if bearer == version]
    if not wanted:
        return "its recipe says registry.challenger=false"
    if own:
        return "" if CHALLENGER in own else f"it already has the alias {' and '.join(own)}"
    newer = [alias for alias in (CHALLENGER, CHAMPION) if int(aliases.get(alias, 0)) > int(version)]
    if newer:
        return f"version {aliases[newer[0]]} is newer, and is {newer[0]}"
    client.set_registered_model_alias(name, CHALLENGER, version)
    return ""
