"""A space: what it may hold, what it refuses and how, and what it makes of a configuration."""

from pathlib import Path
from typing import Any

import pytest

from xray.config import Config, load_config, recipe_names
from xray.errors import ConfigError
from xray.tuning.search_space import Choices, Range, Search, applied, in_words, load_space


@pytest.fixture
def quick() -> Config:
    return load_config("quick")


def space_of(folder: Path, text: str) -> dict[str, Range | Choices]:
    path = folder / "space.toml"
    path.write_text(text)
    return load_space(path)


def search_of(folder: Path, text: str) -> Search:
    return Search(space=space_of(folder, text))


class TestFile:
    def test_dotted_keys_and_tables_are_the_same_space(self, tmp_path: Path) -> None:
        dotted = space_of(tmp_path, '"training.learning_rate" = { low = 1e-4, high = 1e-2, log = true }')
        assert dotted == {"training.learning_rate": Range(low=1e-4, high=1e-2, log=True)}
        assert space_of(tmp_path, "training.learning_rate = { low = 1e-4, high = 1e-2, log = true }") == dotted
        assert space_of(tmp_path, "[training.learning_rate]\nlow = 1e-4\nhigh = 1e-2\nlog = true") == dotted

    def test_choices_keep_their_kinds(self, tmp_path: Path) -> None:
        found = space_of(tmp_path, '"augmentation.flip" = { choices = [true, false] }\n"a.b" = { choices = [1, 2.0] }')
        assert [[type(value) for value in entry.corners] for entry in found.values()] == [[bool, bool], [int, float]]

    @pytest.mark.parametrize("recipe", recipe_names())
    def test_the_shipped_one_fits_every_shipped_recipe(self, recipe: str) -> None:
        Search().require_fits(load_config(recipe))

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ("{ low = 1, high = 1 }", "low must be below high"),
            ("{ low = 0, high = 1, log = true }", "log needs low above 0"),
            ("{ low = 1, high = 8, log = true, step = 1 }", "no step"),
            ("{ low = 1, high = 8, step = 0 }", "training.epochs.step: "),
            ("{ low = 1 }", "training.epochs.high: field required"),
            ("{ lo = 1, high = 2 }", "Received: "),
            ('{ low = "1", high = 2 }', "training.epochs.low"),
            ("{ choices = [1] }", "training.epochs.choices"),
            ("{ choices = [1, 1] }", "choices must differ"),
            ("{ choices = [[1], [2]] }", "training.epochs.choices"),
            ("{}", "training.epochs.low"),
            ("3", "training.epochs: "),
        ],
    )
    def test_an_entry_that_is_none_is_refused_by_its_key(self, entry: str, words: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="training.epochs") as error:
            space_of(tmp_path, f'"training.epochs" = {entry}')
        assert words in str(error.value)
        assert "Received: " in str(error.value)

    def test_a_file_that_is_no_toml_or_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="must be TOML in UTF-8"):
            space_of(tmp_path, "training.epochs = {")
        with pytest.raises(ConfigError, match="--space must be a file .* Received: .*nowhere.toml"):
            load_space(tmp_path / "nowhere.toml")


class TestFit:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('"training.learning_rat" = { low = 1e-4, high = 1e-2 }', "did you mean training.learning_rate"),
            ('"training.seed" = { low = 0, high = 9 }', "training.seed"),
            ('"training.seeds" = { choices = [1, 2] }', "training.seeds"),
            ('"labels.scheme" = { choices = ["binary", "cause"] }', "labels.scheme"),
            ('"evaluation.threshold" = { choices = ["youden", "cost"] }', "evaluation.threshold"),
            ('"split.folds" = { low = 2, high = 5 }', "split.folds"),
            ('"training.learning_rate" = { low = 1e-4, high = 2.0 }', "training.learning_rate"),
            ('"augmentation.zoom" = { low = -0.1, high = 0.3 }', "augmentation.zoom"),
            ('"training.epochs" = { low = 1.0, high = 3.5 }', "whole numbers"),
            ('"training.batch_size" = { choices = [16, 0] }', "training.batch_size=0"),
            ('"augmentation.flip" = { low = 0, high = 1 }', "by choices"),
            ('"images.height" = { low = 32, high = 96 }', "by choices"),
            ('"model.architecture" = { choices = ["quick", "none"] }', "model.architecture=none"),
        ],
    )
    def test_what_a_trial_could_not_train_is_refused_by_its_key(
        self, text: str, words: str, tmp_path: Path, quick: Config
    ) -> None:
        search = search_of(tmp_path, text)
        with pytest.raises(ConfigError) as error:
            search.require_fits(quick)
        assert words in str(error.value)
        assert "Received: " in str(error.value)

    def test_whole_numbers_stand_for_any_where_the_key_takes_any(self, tmp_path: Path, quick: Config) -> None:
        search_of(tmp_path, '"augmentation.zoom" = { low = 0, high = 0.5 }').require_fits(quick)


def test_a_configuration_takes_the_values_and_keeps_the_others(quick: Config) -> None:
    params: dict[str, Any] = {"training.learning_rate": 0.25, "augmentation.flip": False}
    before, after = quick.flat(), applied(quick, params).flat()
    assert {key: after[key] for key in after if after[key] != before[key]} == params


def test_each_image_size_is_a_configuration_and_other_keys_are_not(tmp_path: Path, quick: Config) -> None:
    text = '"images.height" = { choices = [32, 64] }\n"images.width" = { choices = [32, 48] }\n'
    search = search_of(tmp_path, text + '"training.epochs" = { low = 1, high = 3 }')
    found = [(each.images.height, each.images.width, each.training.epochs) for each in search.image_configs(quick)]
    assert found == [(height, width, quick.training.epochs) for height in (32, 64) for width in (32, 48)]
    assert [*Search().image_configs(quick)] == [quick]


def test_a_searched_keys_own_value_does_not_show_in_the_corner(tmp_path: Path, quick: Config) -> None:
    search = search_of(tmp_path, '"training.epochs" = { low = 2, high = 3 }')
    other = applied(quick, {"training.epochs": 9})
    assert search.corner(quick) == search.corner(other)
    assert search.corner(quick) != search.corner(applied(quick, {"training.batch_size": 8}))


def test_a_search_travels_as_json(tmp_path: Path) -> None:
    search = search_of(tmp_path, '"augmentation.zoom" = { low = 0.0, high = 1 }\n"a.b" = { choices = [2, "x", true] }')
    assert Search.model_validate_json(search.model_dump_json()) == search


def test_values_are_written_to_four_digits() -> None:
    assert in_words({"b": 0.123456, "a": 16, "c": None, "d": "pad"}) == "a=16, b=0.1235, c=-, d=pad"
