"""The digest that names a training's folder: everything that determines its weights."""

from xray.config import Config, Labels, digest_of
from xray.data.catalog import Catalog
from xray.data.decoding.image_decoder import normalizer_digest
from xray.training.networks.pretrained import what_it_starts_from

TRAINING_VERSION = 2
"""Raised when a change of code makes the same configuration train another network."""

NO_WEIGHT = {"memory_budget_mb", "seeds"}
"""Settings of a training that change no weight."""


def training_digest(catalog: Catalog, config: Config) -> str:
    """Digest what decides the weights: the scans with label and split, the normalizer, and the training's settings.

    TEST scans, the audit's findings, the memory budget and the number of seeds do not count.
    """
    rows = catalog.rows()
    plain = config.labels == Labels()
    columns = ["sha256", "label", "split"] if plain else ["sha256", "subtype", "split"]
    learned = rows.loc[rows["split"] != "test", columns].sort_values(columns)
    return digest_of(
        {
            "version": TRAINING_VERSION,
            "scans": learned.to_numpy().tolist(),
            "normalizer": normalizer_digest(config.images),
            "model": what_it_starts_from(config.model),
            "augmentation": config.augmentation.digest_values(),
            "training": {
                name: value for name, value in config.training.digest_values().items() if name not in NO_WEIGHT
            },
            # Only where they say something: a training that was there before they were keeps its name.
            **({} if plain else {"labels": config.labels.digest_values()}),
        }
    )
