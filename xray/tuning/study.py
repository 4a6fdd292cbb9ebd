"""A study: the trials that Optuna chooses, in a database of their own, and what every one of them needs.

A trial has a slot, from 0: what it draws depends on the slot and on the trials before it alone. So a study that was
killed and goes on draws what one draws that was not, and a slot whose process died is given the same values again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, PartialFixedSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from pydantic import SecretStr

from xray.config import Config, Workspace, digest_of
from xray.data.catalog import Catalog
from xray.data.decoding.image_decoder import normalizer_digest
from xray.errors import StoreError, by_cause
from xray.training.training_digest import training_digest
from xray.tuning.search_space import Choices, Range, Search
from xray.tuning.storage import answering, database_of, quietly

DATABASE = "study.db"
SLOT, DIVERGED = "slot", "diverged"


@dataclass(frozen=True)
class Material:
    """The scans that a trial learns from.

    Attributes:
        catalog: With labels and splits.
        pixels: Folder of the pixel store.
    """

    catalog: Catalog
    pixels: Path


@dataclass(frozen=True)
class Study:
    """What a trial needs: small, for it may travel to another machine.

    Attributes:
        name: Digest of the scans, of what is searched, and of what else decides a training; the same command has the
            same study.
        folder: Holds the database, unless it lies elsewhere, the locks, and the parent run's id.
        config: The whole configuration that was asked for.
        search: What is searched, and how.
        materials: The scans, by the digest of how they are normalized.
        storage: The database's address, with its password.
    """

    name: str
    folder: Path
    config: Config
    search: Search
    materials: Mapping[str, Material]
    storage: SecretStr

    @property
    def catalog(self) -> Catalog:
        """The scans that stand for the study, where several sizes are searched."""
        return next(iter(self.materials.values())).catalog

    def material(self, config: Config) -> Material:
        """Give the scans as a trial's configuration normalizes them."""
        return self.materials[normalizer_digest(config.images)]


def open_study(
    materials: Mapping[str, Material],
    config: Config,
    search: Search,
    workspace: Workspace,
    storage: SecretStr | None = None,
) -> Study:
    """Make a study, or find the one that the same command made.

    Args:
        materials: The scans, by the digest of how they are normalized.
        config: The whole configuration that was asked for.
        search: What is searched, and how.
        workspace: Where studies lie.
        storage: A database's address; None takes a file in the study's folder.

    Raises:
        ConfigError: The space does not fit the configuration, or the address is none.
        StoreError: The folder could not be written.
        RegistryError: The database does not answer, or its driver is not installed.
    """
    search.require_fits(config)
    corner = search.corner(config)
    told = {
        # Named as a training is: by the scans and by what decides the weights, and by nothing else.
        "training": training_digest(materials[normalizer_digest(corner.images)].catalog, corner),
        "space": {key: entry.model_dump(mode="json") for key, entry in search.space.items()},
        "objective": search.objective,
    }
    name = digest_of(told)
    folder = workspace.studies / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise by_cause(StoreError, f"{folder.parent} must be writable. Received: {error}", error) from error
    url = storage or SecretStr(f"sqlite:///{(folder.resolve() / DATABASE).as_posix()}")
    study = Study(name, folder, config, search, materials, url)
    with connected(study):
        return study


@contextmanager
def connected(study: Study, slot: int = 0, beside_others: bool = False) -> Iterator[optuna.Study]:
    """Connect to a study's database for as long as the block lasts, making its tables if it has none.

    Args:
        study: Which one.
        slot: Decides, with `training.seed`, what is drawn.
        beside_others: Whether other trials run now, whose values are then avoided.

    Raises:
        ConfigError: The address is none.
        RegistryError: The database does not answer, or its driver is not installed.
    """
    search = study.search
    with answering(study.storage):
        with quietly():
            storage = database_of(study.storage)
            found = optuna.create_study(
                storage=storage,
                study_name=study.name,
                load_if_exists=True,
                direction=search.direction,
                sampler=_sampler(study, slot, beside_others),
                pruner=optuna.pruners.MedianPruner(search.startup_trials, search.warmup_epochs),
            )
        try:
            yield found
        finally:
            storage.remove_session()
            storage.engine.dispose()


def slots_left(study: Study) -> list[int]:
    """List the slots whose trials are still to be run to their end.

    Raises:
        RegistryError: The database does not answer.
    """
    with connected(study) as found:
        over = {trial.user_attrs.get(SLOT) for trial in found.get_trials(deepcopy=False) if is_over(trial)}
    return [slot for slot in range(study.search.trials) if slot not in over]


def is_over(trial: FrozenTrial) -> bool:
    """Tell whether a trial came to its end: complete, pruned or diverged, and not given up with its process."""
    diverged = trial.state == TrialState.FAIL and DIVERGED in trial.user_attrs
    return diverged or trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def ask(study: Study, found: optuna.Study, slot: int) -> optuna.Trial:
    """Draw the values of a slot's trial; a trial of this slot whose process died is failed, and its values taken.

    Args:
        study: Which one.
        found: A connection to it.
        slot: Whose trial.
    """
    space = {key: _distribution(entry, study.config.flat()[key]) for key, entry in study.search.space.items()}
    with FileLock(study.folder / "ask.lock"), quietly():
        died = _give_up(found, slot)
        if died is not None:
            found.sampler = PartialFixedSampler(died.params, found.sampler)
        trial = found.ask(space)
        trial.set_user_attr(SLOT, slot)
    return trial


def _give_up(found: optuna.Study, slot: int) -> FrozenTrial | None:
    died = None
    for trial in found.get_trials(states=(TrialState.RUNNING,)):
        # One without a slot was left by a process that died while it drew: nobody else draws meanwhile.
        if trial.user_attrs.get(SLOT) in (slot, None):
            found.tell(trial.number, state=TrialState.FAIL)
            died = trial if SLOT in trial.user_attrs else died
    return died


def _sampler(study: Study, slot: int, beside_others: bool) -> BaseSampler:
    seed = int(digest_of([study.config.training.seed, slot])[:8], 16)
    return TPESampler(seed=seed, constant_liar=beside_others)


def _distribution(entry: Range | Choices, now: object) -> BaseDistribution:
    if isinstance(entry, Choices):
        return CategoricalDistribution(entry.choices)
    if isinstance(now, float) or not all(isinstance(value, int) for value in (entry.low, entry.high, entry.step or 1)):
        return FloatDistribution(entry.low, entry.high, log=entry.log, step=entry.step)
    return IntDistribution(int(entry.low), int(entry.high), log=entry.log, step=int(entry.step or 1))
