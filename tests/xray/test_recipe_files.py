"""Recipe files that extend others, and the page that lists what a file may leave out."""

import json
import re
from pathlib import Path

import pytest

from xray.config import Config, Model, Training, load_config
from xray.errors import ConfigError
from xray.recipe_files import read_recipe

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


class TestExtends:
    def test_a_file_takes_what_it_leaves_out_from_the_recipe_that_it_extends(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text('extends = "default"\n[training]\nepochs = 3\n')
        mine, default = load_config(str(path)), load_config("default", ["training.epochs=3"])
        assert mine.model_dump(exclude={"about", "recipe"}) == default.model_dump(exclude={"about", "recipe"})
        assert (mine.recipe, mine.about.source) == ("mine", "mine.toml, which extends default")
        assert mine.about.expect == "Not said.", "the hours of another recipe are not this one's"

    def test_a_path_is_relative_to_the_file_and_the_nearest_file_wins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "below").mkdir()
        (tmp_path / "base.toml").write_text('extends = "quick"\n[training]\nepochs = 4\nseed = 5\n')
        (tmp_path / "below" / "mine.toml").write_text('extends = "../base.toml"\n[training]\nepochs = 6\n')
        monkeypatch.chdir(tmp_path)
        training = load_config("below/mine.toml").training
        assert (training.epochs, training.seed, training.batch_size) == (6, 5, 16)

    def test_a_circle_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "one.toml").write_text('extends = "other.toml"\n')
        (tmp_path / "other.toml").write_text('extends = "one.toml"\n')
        with pytest.raises(ConfigError, match="one.toml extends other.toml extends one.toml"):
            load_config(str(tmp_path / "one.toml"))

    def test_a_wrong_value_is_told_by_the_file_that_says_it(self, tmp_path: Path) -> None:
        (tmp_path / "base.toml").write_text("[training]\nepochs = 0\n")
        (tmp_path / "mine.toml").write_text('extends = "base.toml"\n')
        with pytest.raises(ConfigError, match=r"mine.toml, which extends base.toml: \[training\] epochs: must be"):
            load_config(str(tmp_path / "mine.toml"))

    def test_without_it_what_is_left_out_is_what_it_always_was(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text("[training]\nepochs = 2\n")
        assert load_config(str(path)).training == Training(epochs=2)
        assert load_config(str(path)).images == Config(recipe="mine").images

    def test_a_file_named_like_a_shipped_recipe_says_what_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "default.toml"
        path.write_text("[training]\nepochs = 2\n")
        with pytest.raises(ConfigError, match=r'must have extends = "default", or an \[about\]'):
            load_config(str(path))
        path.write_text('extends = "default"\n[training]\nepochs = 2\n')
        assert load_config(str(path)).model == load_config("default").model
        path.write_text('[about]\nsource = "me"\n[training]\nepochs = 2\n')
        assert load_config(str(path)).model == Model()

    def test_a_deployment_may_name_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("mine.toml").write_text('extends = "quick"\n[training]\nepochs = 3\n')
        assert Config.model_validate({"recipe": "mine.toml"}) == load_config("mine.toml")
        changed = Config.model_validate({"recipe": "mine.toml", "training": {"seed": 4}})
        assert changed == load_config("mine.toml", ["training.seed=4"])


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("[training]\nepochs = 2\n", "mine.toml extends nothing: missing keys have the defaults in docs/recipes.md"),
        ('extends = "quick"\n', "mine.toml extends quick"),
    ],
)
def test_a_file_is_said_to_extend_another_or_nothing(tmp_path: Path, text: str, remark: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert read_recipe(str(path)).remark == remark


def test_the_page_lists_every_key_and_what_it_is_where_it_is_left_out() -> None:
    listed, section = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"### `\[(\w+)\]`", line):
            section = found[1]
        elif found := re.match(r"\| `(\w+)` \| `([^`]+)` \| .+\.? \|$", line):
            listed[f"{section}.{found[1]}"] = None if found[2] == "none" else json.loads(found[2])
    defaults = Config(recipe="mine").flat()
    assert listed == {key: value for key, value in defaults.items() if "." in key and not key.startswith("about.")}


def test_the_pages_example_is_a_recipe(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "mine.toml").write_text(example)
    changed = load_config(str(tmp_path / "mine.toml"))
    assert (changed.images.height, changed.training.epochs) == (160, 20)
    assert changed.model == load_config("default").model
