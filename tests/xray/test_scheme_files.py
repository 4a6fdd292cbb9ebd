"""Scheme files: any finding against normal, from two lines of TOML."""

import re
from pathlib import Path

import pytest

from xray.config import Request, load_config
from xray.errors import ConfigError
from xray.scheme_files import read_scheme, shipped_schemes


def scheme_file(folder: Path, text: str, name: str = "tuberculosis") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_the_shipped_schemes_are_files() -> None:
    found = {name: scheme.classes for name, scheme in shipped_schemes().items()}
    assert found == {
        "binary": ("pneumonia", "normal"),
        "cause": ("normal", "bacterial", "viral"),
        "covid": ("normal", "bacterial", "viral", "covid-19"),
    }
    assert {scheme.finding for scheme in shipped_schemes().values()} == {"pneumonia"}


@pytest.mark.parametrize("classes", ['["tuberculosis", "normal"]', '["normal", "tuberculosis"]'])
def test_two_classes_are_put_in_the_articles_order(tmp_path: Path, classes: str) -> None:
    found = read_scheme(scheme_file(tmp_path, f'finding = "tuberculosis"\nclasses = {classes}\n'))
    assert (found.name, found.finding, found.classes) == ("tuberculosis", "tuberculosis", ("tuberculosis", "normal"))


def test_of_more_classes_normal_comes_first(tmp_path: Path) -> None:
    text = 'finding = "abnormal"\nclasses = ["tuberculosis", "normal", "nodule"]\n'
    assert read_scheme(scheme_file(tmp_path, text)).classes == ("normal", "tuberculosis", "nodule")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must have finding and classes. Received: nothing"),
        ('finding = "tb"\n', "must have finding and classes. Received: finding"),
        (
            'finding = "tb"\nclasses = ["tb", "normal"]\nnormal = 1\n',
            "must have finding and classes. Received: classes",
        ),
        ("finding =", "must be TOML"),
        ('finding = "TB"\nclasses = ["TB", "normal"]\n', "a name must be lower-case letters"),
        ('finding = "tb_raw"\nclasses = ["tb_raw", "normal"]\n', "a name must be lower-case letters"),
        ('finding = "refer"\nclasses = ["refer", "normal"]\n', "Received: refer"),
        ('finding = "opacity"\nclasses = ["normal", "low", "high"]\n', "not refer, low or high. Received: low"),
        ('finding = "tb"\nclasses = "tb"\n', "classes must be normal and others, each once. Received: tb"),
        ('finding = "tb"\nclasses = ["normal"]\n', "classes must be normal and others"),
        ('finding = "tb"\nclasses = ["normal", "tb", "tb"]\n', "classes must be normal and others"),
        ('finding = "tb"\nclasses = ["normal", "nodule"]\n', "finding must be the class besides normal"),
        ('finding = "tb"\nclasses = ["normal", "nodule", "tb"]\n', "finding must be the class besides normal"),
        ('finding = "normal"\nclasses = ["normal", "nodule", "tb"]\n', "finding must be the class besides normal"),
    ],
)
def test_what_is_no_scheme_is_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)) as refused:
        read_scheme(scheme_file(tmp_path, text))
    assert "\n" not in str(refused.value)
    assert "tuberculosis.toml" in str(refused.value)


class TestConfiguration:
    def test_a_run_carries_what_its_schemes_file_said(self, tmp_path: Path) -> None:
        path = scheme_file(tmp_path, 'finding = "tuberculosis"\nclasses = ["tuberculosis", "normal"]\n')
        config = load_config("quick", [f"labels.scheme={path}"])
        path.unlink()
        assert config.labels.told_apart.classes == ("tuberculosis", "normal")
        assert config.registered_name == "xray-classifier-tuberculosis"
        again = type(config).model_validate(config.model_dump(mode="json"))
        assert again == config, "a deployment's parameters need no file"

    def test_a_shipped_scheme_has_no_classes_of_its_own_to_name(self) -> None:
        config = load_config("quick", ["labels.scheme=cause"])
        assert (config.labels.finding, config.labels.classes) == ("", ())
        assert config.labels.digest_values() == {"scheme": "cause", "class_weights": "none"}, "as it was before files"

    @pytest.mark.parametrize("scheme", ["tuberculosis", "Binary", ""])
    def test_an_unknown_scheme_is_refused_with_those_that_there_are(self, scheme: str) -> None:
        with pytest.raises(ConfigError, match=r"scheme"):
            load_config("quick", [f"labels.scheme={scheme}"])

    def test_a_shipped_scheme_takes_no_finding_of_ones_own(self) -> None:
        own = ["labels.finding=tuberculosis", 'labels.classes=["tuberculosis", "normal"]']
        with pytest.raises(ConfigError, match=r"labels.scheme: must have no labels.finding and labels.classes"):
            load_config("quick", own)
        with pytest.raises(ConfigError, match=r"labels.scheme: must be binary, cause, covid, or"):
            load_config("quick", ["labels.scheme=tuberculosis"])

    def test_a_scheme_of_ones_own_has_a_model_of_its_own(self) -> None:
        own = ["labels.scheme=tb", "labels.finding=tb", 'labels.classes=["tb", "normal"]', "registry.plain_scheme=tb"]
        assert load_config("quick", own).registered_name == "xray-classifier-tb"

    def test_a_recipes_scheme_lies_beside_the_recipe(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scheme_file(tmp_path, 'finding = "tb"\nclasses = ["tb", "normal"]\n', "tb")
        (tmp_path / "mine.toml").write_text('extends = "quick"\n[labels]\nscheme = "tb.toml"\n')
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert load_config("../mine.toml").labels.told_apart.finding == "tb"

    def test_a_printed_command_has_what_the_schemes_file_said(self, tmp_path: Path) -> None:
        path = scheme_file(tmp_path, 'finding = "tb"\nclasses = ["tb", "normal"]\n', "tb")
        recipe = tmp_path / "mine.toml"
        recipe.write_text('extends = "quick"\n[labels]\nscheme = "tb.toml"\n')
        config = load_config(str(recipe))
        request = Request(data=tmp_path, config=config, recipe_file=recipe)
        path.write_text('finding = "sick"\nclasses = ["sick", "normal"]\n')
        words = request.arguments
        settings = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
        assert load_config(words[words.index("--recipe") + 1], settings) == config

    def test_a_missing_file_is_named_as_it_was_typed(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/TB.toml must be a scheme's file")):
            load_config("quick", [f"labels.scheme={tmp_path}/TB.toml"])

    def test_a_file_may_not_be_called_as_a_shipped_scheme(self, tmp_path: Path) -> None:
        path = scheme_file(tmp_path, 'finding = "tb"\nclasses = ["tb", "normal"]\n', "binary")
        with pytest.raises(ConfigError, match="not called as a shipped scheme"):
            load_config("quick", [f"labels.scheme={path}"])
