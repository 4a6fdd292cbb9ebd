"""Recipes, and the one way to change a value of them."""

import itertools
import shlex
from pathlib import Path

import pytest
from pydantic import ValidationError

from xray.config import Augmentation, Config, Model, Request, Training, Workspace, digest_of, load_config, recipe_names
from xray.errors import ConfigError


def test_the_shipped_recipes_are_valid_and_say_what_to_expect() -> None:
    assert recipe_names() == ["article", "default", "quick"]
    for name in recipe_names():
        config = load_config(name)
        assert config.recipe == name
        assert config.about.source
        assert config.about.expect


def test_the_article_recipe_is_the_articles() -> None:
    article = load_config("article")
    assert (article.images.height, article.images.width, article.images.fit) == (300, 300, "stretch")
    assert (article.training.epochs, article.training.learning_rate) == (60, 1e-4)
    assert article.augmentation.zoom > 0
    assert article.augmentation.rotation > 0
    assert article.augmentation.flip


def test_only_the_quick_recipe_stays_out_of_the_challenge() -> None:
    assert [name for name in recipe_names() if not load_config(name).registry.challenger] == ["quick"]


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("training.epochs=3", "training.epochs", 3),
        ("training.learning_rate=1e-3", "training.learning_rate", 0.001),
        ("images.fit=pad", "images.fit", "pad"),
        ('images.fit="pad"', "images.fit", "pad"),
        ("augmentation.flip=false", "augmentation.flip", False),
        (" split.group_by = none ", "split.group_by", "none"),
    ],
)
def test_a_setting_changes_one_value_and_no_other(setting: str, key: str, value: object) -> None:
    changed, before = load_config("article", [setting]).flat(), load_config("article").flat()
    assert changed[key] == value
    assert {name for name in before if before[name] != changed[name]} == {key}


def test_the_last_of_two_settings_holds() -> None:
    assert load_config("quick", ["training.epochs=3", "training.epochs=4"]).training.epochs == 4


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.epoch=3", "did you mean training.epochs"),
        ("epochs=3", "did you mean training.epochs"),
        ("trainning.epochs=3", "did you mean training.epochs"),
        ("about.source=me", "Received: about.source"),
        ("recipe=other", "Received: recipe"),
        ("training.epochs", "KEY=VALUE"),
        ("training.epochs=0", "training.epochs"),
        ("training.epochs=many", "training.epochs"),
        ("images.fit=zoom", "'stretch' or 'pad'"),
        ("training.learning_rate=nan", "training.learning_rate"),
        ("registry.experiment=../../x", "registry.experiment: must be a name, or names with a / between them"),
        ("registry.experiment=/etc", "registry.experiment: must be a name"),
        ("registry.experiment=a/./b", "registry.experiment: must be a name"),
        ('registry.experiment="a\\nb"', "registry.experiment: must be a name that can be printed"),
        (f"registry.experiment={'x' * 201}", "registry.experiment: must be shorter"),
        ("registry.model_name=a/b", "registry.model_name: must be a name without"),
        ("registry.model_name=a:b", "registry.model_name: must be a name without"),
        ("registry.model_name=..", "registry.model_name: must be a name without"),
        ("registry.model_name=it's", "registry.model_name: must be a name without"),
        ('registry.model_name=" "', "registry.model_name: must be a name that can be printed"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(setting: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config("article", [setting])
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_recipe_can_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[about]\nsource = "me"\nexpect = "little"\n[training]\nepochs = 2\n')
    assert load_config(str(path)).recipe == "mine"
    assert load_config(str(path)).training.epochs == 2


@pytest.mark.parametrize("name", ["team/chest x-rays", "lungs é", "v1.2", "50% #1?"])
def test_names_that_homes_use_go_on_working(name: str) -> None:
    assert load_config("quick", [f'registry.experiment="{name}"']).registry.experiment == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[about]\nsource = 'me'\nexpect = 'little'\n[training]\nepoch = 2\n", "did you mean training.epochs"),
        (
            "[training]\nepochs = 0\n",
            r"mine.toml: \[training\] epochs: must be .* to 1. Received: 0",
        ),
        ("[trainings]\nepochs = 1\n", r"mine.toml: .*did you mean training\?.*Received: trainings"),
        ("[about]\nsource = ''\n", r"mine.toml: \[about\] source: must have at least 1 character"),
        ("not TOML", "must be TOML"),
        ("training = 5\n", r"mine.toml: \[training\] must be a table. Received: 5"),
        ("about = 5\n", r"mine.toml: \[about\] must be a table. Received: 5"),
        ("recipe = 'default'\n", "mine.toml: recipe must be the file's name, mine.*extends"),
        ("extends = 'defualt'\n", r"mine.toml: extends must be one of article.*\(did you mean default\?\)"),
        ("extends = 'base.toml'\n", "mine.toml: extends must be .* Received: base.toml"),
        ("extends = 3\n", "mine.toml: extends must be .* Received: 3"),
        ("extends = 'mine.toml'\n", "extends must not form a circle. Received: mine.toml extends mine.toml"),
    ],
)
def test_a_wrong_recipe_file_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(str(path), ["training.patience=2"])


@pytest.mark.parametrize("text", ["training = 5\n", "[training]\nepochs = 'many'\n"])
def test_a_wrong_recipe_file_without_settings_is_refused_likewise(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"^{path}: \[training\].*must be.* Received: (5|'many')$"):
        load_config(str(path))


def test_a_recipes_name_alone_stands_for_all_of_its_values() -> None:
    assert Config.model_validate({"recipe": "article"}) == load_config("article")
    changed = Config.model_validate({"recipe": "article", "training": {"epochs": 3}})
    assert changed == load_config("article", ["training.epochs=3"])


def test_a_whole_configuration_is_taken_as_it_is() -> None:
    config = load_config("article", ["augmentation.flip=false", "training.patience=0"])
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"article, default, quick.*Received: fast"):
        load_config("fast")


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        load_config("quick").training.epochs = 3  # type: ignore[misc]


def test_every_value_has_a_description_for_prefects_form() -> None:
    sections = [field.annotation for field in Config.model_fields.values() if hasattr(field.annotation, "model_fields")]
    assert len(sections) == len(Config.model_fields) - 1, "all but the recipe's name"
    for section in sections:
        for name, field in section.model_fields.items():  # type: ignore[union-attr]
            assert field.description, name


def test_a_digest_depends_on_content_and_not_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
    assert len(digest_of(None)) == 16


def test_everything_is_kept_below_one_folder(tmp_path: Path) -> None:
    workspace = Workspace(home=tmp_path)
    kept = [
        workspace.pixels,
        workspace.cleaned,
        workspace.prepared,
        workspace.trainings,
        workspace.digest_index,
        workspace.mlruns,
    ]
    assert all(path.is_relative_to(tmp_path) for path in kept)
    assert len(set(kept)) == len(kept)


class TestBackbone:
    NAMED = ("model.architecture=backbone", "model.backbone=densenet121")

    def test_it_is_named_beside_its_architecture(self) -> None:
        model = load_config("quick", self.NAMED).model
        assert (model.network, model.weights) == ("densenet121", "none")
        assert load_config("quick").model.network == "quick"

    def test_a_file_of_weights_is_named_in_one_way(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for said in ("mine.h5", "../" + tmp_path.name + "/mine.h5", str(tmp_path / "mine.h5")):
            model = load_config("quick", [*self.NAMED, f"model.weights={said}"]).model
            assert model.weights == str(tmp_path.resolve() / "mine.h5")
            assert Config.model_validate({"recipe": "quick", "model": model.model_dump()}).model == model

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            (
                ["model.backbone=densenet121"],
                "model.backbone: can only be set with model.architecture=backbone. Received: 'dense",
            ),
            (
                ["model.weights=imagenet"],
                "model.weights: can only be set with model.architecture=backbone. Received: 'imagenet'",
            ),
            (["model.architecture=backbone"], "model.backbone: must name a network .* Received: 'none'"),
            ([*NAMED, "model.backbone=vgg"], "model.backbone: must be 'none', .* Received: 'vgg'"),
            (
                ["training.keep=last"],
                "training.keep: must be best if .* Received: 'last'",
            ),
            ([*NAMED, "model.standardize=true"], "model.standardize: must be false for a backbone.* Received: True"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, settings: list[str], words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            load_config("quick", settings)


class TestCommand:
    @staticmethod
    def read_back(request: Request) -> Config:
        words = shlex.split(request.command)
        settings = [after for word, after in itertools.pairwise(words) if word == "--set"]
        return load_config(words[words.index("--recipe") + 1], settings)

    def test_of_a_shipped_recipe_names_what_was_changed_alone(self, tmp_path: Path) -> None:
        request = Request(data=tmp_path, config=load_config("quick", ["training.epochs=3"]))
        assert request.command.count("--set") == 1
        assert self.read_back(request) == request.config

    def test_of_a_recipe_file_gives_the_very_configuration(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("mine.toml").write_text('[about]\nsource = "Ours."\nexpect = "Little."\n[training]\nepochs = 7\n')
        changed = load_config("mine.toml", ["training.learning_rate=0.01", "training.epochs=60"])
        request = Request(data=tmp_path, config=changed, recipe_file=Path("mine.toml").resolve())
        assert request.command.count("--set") == 2
        monkeypatch.chdir("/")
        assert self.read_back(request) == changed

    def test_of_a_recipe_that_is_gone_types_every_value(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text('extends = "quick"\n')
        request = Request(data=tmp_path, config=load_config(str(path)), recipe_file=path)
        path.unlink()
        assert request.command.count("--set") == len(load_config("quick").flat()) - 4  # its name, about, no prevalence

    def test_a_folder_with_a_space_is_one_word(self, tmp_path: Path) -> None:
        request = Request(data=tmp_path / "my scans", home=tmp_path / "my home", config=load_config("quick"))
        words = shlex.split(request.command)
        assert (words[2], words[words.index("--home") + 1]) == (str(tmp_path / "my scans"), str(tmp_path / "my home"))


class TestTold:
    def test_what_came_later_is_told_only_where_it_says_something(self) -> None:
        first = {"zoom": 0.0, "rotation": 0.0, "flip": False}
        assert Augmentation().digest_values() == first
        assert Augmentation(gamma=0.5).digest_values() == {**first, "gamma": 0.5}

    def test_what_was_there_from_the_start_is_always_told(self) -> None:
        assert set(Training().digest_values()) == {
            "seed", "seeds", "epochs", "batch_size", "learning_rate", "patience", "precision", "memory_budget_mb"
        }  # fmt: skip
        assert Model().digest_values() == {"architecture": "article"}


@pytest.mark.parametrize(
    ("recipe", "scheme", "name"),
    [
        ("article", "binary", "xray-classifier"),
        ("article", "cause", "xray-classifier-cause"),
        ("default", "cause", "xray-classifier"),
        ("default", "binary", "xray-classifier"),
        ("default", "covid", "xray-classifier-covid"),
    ],
)
def test_a_scheme_has_a_registered_model_of_its_own_unless_the_recipe_stands_for_both(
    recipe: str, scheme: str, name: str
) -> None:
    assert load_config(recipe, [f"labels.scheme={scheme}"]).registered_name == name
