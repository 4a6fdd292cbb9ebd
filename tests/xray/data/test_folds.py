"""Each fold has a catalog of its own: the same scans in the same folds, another one held back."""

import pickle

import pytest

from tests.xray.conftest import Learned
from xray.config import Config
from xray.data.folds import Fold, cut
from xray.data.prepare import Cleaned


def three(config: Config, **split: int) -> Config:
    return config.model_copy(update={"split": config.split.model_copy(update={"folds": 3, **split})})


@pytest.fixture(scope="module")
def cleaned(prepared: Learned) -> Cleaned:
    (folder,) = prepared.workspace.cleaned.iterdir()
    return Cleaned(folder, folder.name, prepared.catalog.data, 240, private=False, reused=True)


@pytest.fixture(scope="module")
def folds(cleaned: Cleaned, prepared: Learned) -> list[Fold]:
    return cut(cleaned, prepared.store, three(prepared.config), prepared.workspace, seeds=2)


def test_every_fold_is_trained_with_every_seed(folds: list[Fold]) -> None:
    assert [(fold.seed, fold.number) for fold in folds] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [fold.config.training.seed for fold in folds] == [fold.seed for fold in folds]
    assert [fold.config.split.validation_fold for fold in folds] == [fold.number for fold in folds]


def test_validation_is_the_folds_own_scans_and_nothing_else_changes(folds: list[Fold]) -> None:
    tables = [fold.catalog.rows() for fold in folds[:3]]
    for number, rows in enumerate(tables):
        assert (rows["fold"] == tables[0]["fold"]).all()
        assert ((rows["split"] == "validation") == (rows["fold"] == number)).all()
        assert list(rows.drop(columns="split")) == list(tables[0].drop(columns="split"))


def test_another_seed_has_the_same_catalogs(folds: list[Fold]) -> None:
    assert [fold.catalog for fold in folds[:3]] == [fold.catalog for fold in folds[3:]]


def test_the_fold_that_was_asked_for_does_not_matter(folds: list[Fold], cleaned: Cleaned, prepared: Learned) -> None:
    others = cut(cleaned, prepared.store, three(prepared.config, validation_fold=2), prepared.workspace)
    assert [fold.catalog.digest for fold in others] == [fold.catalog.digest for fold in folds[:3]]


def test_the_first_fold_is_what_a_plain_run_trains(cleaned: Cleaned, prepared: Learned) -> None:
    first = cut(cleaned, prepared.store, prepared.config, prepared.workspace)[0]
    assert (first.catalog.digest, first.config) == (prepared.catalog.digest, prepared.config)


def test_a_fold_travels_as_a_few_kilobytes(folds: list[Fold]) -> None:
    sent = pickle.dumps(folds[0])
    assert len(sent) < 10_000
    assert pickle.loads(sent) == folds[0]
