"""The folds of a cross-validation: one catalog for each, over pixels that all of them share."""

from dataclasses import dataclass
from pathlib import Path

from xray.config import Config, Workspace
from xray.data.catalog import Catalog
from xray.data.prepare import Cleaned, write_prepared
from xray.data.store.pixel_store import PixelStore


@dataclass(frozen=True)
class Fold:
    """What one training of a cross-validation needs: small, for it may travel to another machine.

    Attributes:
        number: The fold that is validation, from 0; the others train.
        seed: `training.seed` of this training.
        config: The whole configuration, with this fold and this seed.
        catalog: The scans, with this fold as validation.
        pixels: Folder of the pixel store.
    """

    number: int
    seed: int
    config: Config
    catalog: Catalog
    pixels: Path


def cut(cleaned: Cleaned, store: PixelStore, config: Config, workspace: Workspace, seeds: int = 1) -> list[Fold]:
    """Write a catalog for each fold, the same scans in the same folds with another one as validation.

    Args:
        cleaned: The scans.
        store: Their pixels.
        config: Says how many folds; its own `split.validation_fold` does not matter.
        workspace: Where catalogs lie.
        seeds: How often each fold is trained: with `training.seed`, the seed after it, and so on. The folds stay.

    Returns:
        Every fold with the first seed, then every fold with the next one.

    Raises:
        TrainingError: A split is without one of the labels.
        StoreError: A catalog could not be written.
    """
    configs = [_with(config, "split", validation_fold=number) for number in range(config.split.folds)]
    catalogs = [write_prepared(cleaned, store, each, workspace) for each in configs]
    first = config.training.seed
    return [
        Fold(number, seed, _with(each, "training", seed=seed), catalog, store.folder)
        for seed in range(first, first + seeds)
        for number, (each, catalog) in enumerate(zip(configs, catalogs, strict=True))
    ]


def _with(config: Config, section: str, **values: int) -> Config:
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})
