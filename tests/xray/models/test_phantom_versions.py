"""A version of phantoms takes no alias of a model that learnt from real scans."""

import pytest

from tests.xray.conftest import Learned
from xray import config
from xray.config import Workspace
from xray.data.catalog import Catalog, write_catalog
from xray.errors import RegistryError
from xray.models.phantom_versions import TAG, phantom_tag, real_ones, without_alias
from xray.promotion.promote import find_challenge
from xray.scoring.select_model import select_model
from xray.tracking.store import store_of

NAME = "xray-test"
REGISTRY = config.Registry(experiment="xray-test", model_name=NAME)


@pytest.fixture
def real(prepared: Learned, workspace: Workspace) -> Catalog:
    """A catalog under the home that names no phantom."""
    rows = prepared.catalog.rows()
    rows["image_id"] = [f"person{number}_virus_1.jpeg" for number in range(len(rows))]
    catalog = prepared.catalog
    return write_catalog(rows, catalog.rejects(), catalog.findings(), catalog.data, workspace.prepared)


def registered(workspace: Workspace, *tags: dict[str, str]) -> None:
    client = store_of(workspace).client()
    client.create_registered_model(NAME)
    for each in tags:
        client.create_model_version(NAME, source="s3://nowhere/model", tags=each)


def test_beside_a_version_of_real_scans_it_takes_none(prepared: Learned, real: Catalog, workspace: Workspace) -> None:
    registered(workspace, phantom_tag(real), phantom_tag(prepared.catalog))
    client = store_of(workspace).client()
    registry, words = without_alias(client, REGISTRY, prepared.catalog, workspace)
    assert not registry.challenger and registry.model_name == NAME
    assert words.startswith("it was trained on phantoms, and version 1 on real scans; ")
    assert without_alias(client, REGISTRY, real, workspace) == (REGISTRY, "")
    with pytest.raises(RegistryError, match=f"version 1. Received: {NAME} version 2"):
        find_challenge(workspace, NAME, 2)
    assert select_model(workspace, NAME).version == "1"


def test_among_phantoms_it_takes_it(prepared: Learned, workspace: Workspace) -> None:
    registered(workspace, phantom_tag(prepared.catalog), phantom_tag(prepared.catalog))
    client = store_of(workspace).client()
    assert without_alias(client, REGISTRY, prepared.catalog, workspace) == (REGISTRY, "")
    assert find_challenge(workspace, NAME, 2).challenger == "2"
    assert select_model(workspace, NAME).version == "2"


def test_versions_that_are_older_than_the_tag_are_known_by_their_catalog(
    prepared: Learned, real: Catalog, workspace: Workspace
) -> None:
    here = prepared.catalog
    write_catalog(here.rows(), here.rejects(), here.findings(), here.data, workspace.prepared)
    registered(workspace, {"catalog": here.digest}, {"catalog": real.digest}, {"catalog": "elsewhere"})
    assert sorted(real_ones(store_of(workspace).client(), NAME, workspace)) == ["2", "3"]


def test_the_catalog_of_phantoms_is_known_and_keeps_its_name(prepared: Learned, real: Catalog) -> None:
    assert phantom_tag(prepared.catalog) == {TAG: "true"}
    assert phantom_tag(real) == {TAG: "false"}
