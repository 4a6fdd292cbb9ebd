"""The check of the pages finds what it is there for, in pages that are wrong in one way each."""

from pathlib import Path

import pytest

from tests.docs import check, pages
from tests.docs.pages import Shown, blocks, commands_of

TEST = "tests/system/test_it.py::test_runs"
GOOD = f"""# A page

<!-- run: {TEST} -->
<!-- not run "tune|score": takes hours -->
```sh
xray runs --last 5   # the newest
xray tune DATA --trials 30 \\
    --recipe quick
# a remark
```

```text
xray: said something
```

See [above](#a-page), [it](tests/system/test_it.py) and [elsewhere](https://example.org/none).
`xray runs` lists, `make lint` checks.
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one page, one test and one verb."""
    for module in (pages, check):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    for name, text in {
        "README.md": GOOD,
        "CONTRIBUTING.md": "",
        "CHANGELOG.md": "",
        "Makefile": "lint: $(READY)\n\techo $(SIZE)\n",
        ".ci/run": "make lint\n",
        "tests/system/test_it.py": "def test_runs(documented): ...\ndef test_other(): ...\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for kept in (check.takers, check.headings, check._text):
        kept.cache_clear()
    return tmp_path


def test_a_test_gets_the_commands_that_name_it_as_the_page_has_them(project: Path) -> None:
    assert commands_of(TEST) == [Shown("sh", "xray runs --last 5")]
    (first, second) = blocks("README.md")
    assert first.commands == ["xray runs --last 5", "xray tune DATA --trials 30      --recipe quick"]
    assert (first.line, second.line, second.language) == (5, 12, "text")


def test_nothing_is_wrong_with_a_page_whose_commands_are_run_and_there(project: Path) -> None:
    assert list(check.faults_of("README.md")) == []
    assert list(check.unnamed_tests()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f"<!-- run: {TEST} -->\n", "", "README.md:4: a command must be run by a test or marked as not run"),
        ("test_runs -->", "test_other -->", "must name a test that takes `documented`"),
        ("test_runs -->", "test_none -->", "must name a test that takes `documented`"),
        (f"<!-- run: {TEST} -->", "<!-- run: .ci/run -->", ".ci/run must run the command. Received: xray runs"),
        ("tune|score", "score", "a mark must be of a command"),
        ("tune|score", "xray", "a mark must be of a command"),
        ("```text", "```", "a block must name its language"),
        ("xray: said", "xray says", "a block of commands must be sh"),
        ("--last 5", "--newest 5", "No such option: --newest"),
        ("--last 5", "--last five", "Invalid value for '--last'"),
        ("--last 5", "extra", "unexpected extra argument"),
        ("tune DATA", "tune", "Missing argument 'DATA...'"),
        ("--recipe quick", "--recipe quicker", "quicker"),
        ("--recipe quick", "--set training.epoch=3", "training.epoch"),
        ("xray runs --last", "xray list --last", "the command must be there"),
        ("`xray runs`", "`xray list`", "README.md:17: the command must be there"),
        ("`make lint`", "`make lynt`", "make must have the verb or the variable lynt"),
        ("`make lint`", "`make lint SIZES=1`", "make must have the verb or the variable SIZES"),
        ("`make lint`", "`python benchmarks/none.py`", "a script must be there"),
        ("#a-page", "#another-page", "a link must lead to a heading. Received: #another-page"),
        ("(tests/system/test_it.py)", "(tests/none.py)", "a link must lead to a file. Received: tests/none.py"),
    ],
)
def test_what_is_wrong_is_said(project: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    (project / "README.md").write_text(GOOD.replace(old, new))
    found = list(check.faults_of("README.md"))
    assert len(found) == 1
    assert said in found[0]


def test_a_test_that_no_page_names_is_said(project: Path) -> None:
    (project / "README.md").write_text("# Nothing\n")
    assert list(check.unnamed_tests()) == [
        "tests/system/test_it.py: a test that takes `documented` must be named by a page. Received: test_runs"
    ]


def test_a_quotation_that_is_not_in_its_file_is_said(project: Path) -> None:
    page = "<!-- not run: quoted from Makefile -->\n```python\nlint: $(READY)\n```\n"
    (project / "README.md").write_text(page)
    assert list(check.faults_of("README.md")) == []
    (project / "README.md").write_text(page.replace("lint:", "link:"))
    assert [fault.partition(": ")[2] for fault in check.faults_of("README.md")] == [
        "a quotation must stand in its file. Received: quoted from Makefile"
    ]


def test_the_examples_of_the_help_pages_can_be_typed() -> None:
    assert list(check.examples()) == []
