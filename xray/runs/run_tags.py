"""What an MLflow run is told of itself when it is opened: its tags, params and data set. A new tag goes here."""

from xray.config import Config
from xray.data.catalog import Catalog
from xray.data.decoding.image_decoder import normalizer_digest
from xray.runs.run_context import RunContext
from xray.tracking.run_identity import PARENT_TAG, DataSet, RunFacts, git_commit


def model_tags(catalog: Catalog, config: Config, training: str) -> dict[str, str | None]:
    """Give the tags that a training's run and its registered version have in common."""
    return {
        "recipe": config.recipe,
        "catalog": catalog.digest,
        "normalizer": normalizer_digest(config.images),
        "training": training,
        "git_commit": git_commit(),
    }


def run_facts(
    catalog: Catalog,
    config: Config,
    training: str,
    context: RunContext,
    evaluation: str | None = None,
) -> RunFacts:
    """Say what a training's run is told of itself.

    Args:
        catalog: The scans.
        config: The whole configuration.
        training: The training's digest.
        context: Where the run is kept, and what it is part of.
        evaluation: Digest of the evaluation whose figures it holds, if any.
    """
    rows = catalog.rows()
    counts = rows.groupby(["split", "label"]).size()
    return RunFacts(
        experiment=config.registry.experiment,
        name=f"{config.recipe}-{training[:8]}",
        params=config.flat(),
        tags={
            **model_tags(catalog, config, training),
            "prefect_flow_run": context.flow_run,
            PARENT_TAG: context.parent,
        },
        data=DataSet(
            name=catalog.data.name,
            digest=catalog.digest,
            source=str(catalog.data),
            schema={name: str(dtype) for name, dtype in rows.dtypes.items()},
            profile={f"{split} {label}": int(count) for (split, label), count in counts.items()},
        ),
        evaluation=evaluation,
    )
