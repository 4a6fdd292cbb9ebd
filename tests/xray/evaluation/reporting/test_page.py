"""The report page as it is written: whole, escaped, with words for every picture, and nothing from outside."""

from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise

import pytest
from PIL import Image

from xray.errors import EvaluationError
from xray.evaluation.reporting.captions import CAPTIONS
from xray.evaluation.reporting.page import SCRIPT, Headline, Link, Page, Part, Picture, Point, write_page
from xray.table import Table

RUN = "http://127.0.0.1:5000/#/runs/1?a=1&b=2"
EVIL = '<script>alert("1")</script> & co'


class Seen(HTMLParser):
    """Every element with its attributes, and the text of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (1200, 600), (31, 95, 153)).save(buffer, "PNG")
    return buffer.getvalue()


PAGE = Page(
    title=f"xray-classifier {EVIL}",
    safety=f"It is not a medical device. {EVIL}",
    lead=["Trained on phantoms.", EVIL],
    about={"Recipe": EVIL, "MLflow run": Link(EVIL, RUN)},
    notice=f"These are phantoms. {EVIL}",
    points=[Point("Promise not kept", EVIL, weak=True), Point("Repeated test-set evaluation", "Once.")],
    headline=[Headline("auc", "0.958", "0.934 to 0.978", EVIL)],
    sections=[
        Part("Metrics on TEST", ["Words."], {EVIL: Table(("figure", "value"), [(EVIL, "0.750")])}, []),
        Part("Pictures", [], {}, [Picture(png(), f"A blue ground. {EVIL}", "Blue.")]),
        Part("Nothing was seen"),
    ],
    limits=["Few scans."],
    facts={"Catalog": "0123", EVIL: EVIL},
)


@pytest.fixture(scope="module")
def text() -> str:
    return write_page(PAGE)


@pytest.fixture(scope="module")
def seen(text: str) -> Seen:
    return Seen(text)


def test_it_is_one_document_in_a_stated_language_and_character_set(text: str, seen: Seen) -> None:
    assert text.lower().startswith("<!doctype html>")
    assert seen.all("html")[0]["lang"] == "en"
    assert any(meta.get("charset", "").lower() == "utf-8" for meta in seen.all("meta"))


def test_nothing_comes_from_outside_and_no_script_runs_but_the_pages_own(text: str, seen: Seen) -> None:
    addresses = [
        value for _, attributes in seen.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses
    assert all(address.startswith(("data:", "#")) or address == RUN for address in addresses)
    assert [link for link in seen.all("a") if link["href"] == RUN] == [{"href": RUN, "rel": "noreferrer"}]
    assert not seen.all("link")
    assert seen.all("script") == [{}] and SCRIPT.read_text(encoding="utf-8") in text
    digest = b64encode(sha256(SCRIPT.read_bytes()).digest()).decode()
    (policy,) = [meta["content"] for meta in seen.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_what_comes_from_data_is_escaped(text: str, seen: Seen) -> None:
    assert text.count("<script") == 1
    assert sum(EVIL in words for words in seen.words) >= 6


def test_what_must_be_known_first_stands_before_the_contents_and_what_is_weak_is_marked(text: str, seen: Seen) -> None:
    places = [text.index(words) for words in ("It is not a medical", "Reasons for caution", "Results on TEST", "<nav")]
    assert places == sorted(places)
    assert [words.get("class") for words in seen.all("p")].count("weak") == 1


def test_a_link_that_is_no_web_address_is_refused() -> None:
    page = Page("title", "safety", [], facts={"run": Link("a run", "javascript:alert(1)")})
    with pytest.raises(EvaluationError, match=r"must begin with http:// or https://\. Received: javascript"):
        write_page(page)


def test_every_picture_has_words_and_its_size(seen: Seen) -> None:
    images = seen.all("img")
    assert len(images) == 1
    assert all(image["alt"].strip() and image["width"] == "1200" and image["height"] == "600" for image in images)


def test_headings_begin_with_one_of_the_first_rank_and_leave_no_rank_out(seen: Seen) -> None:
    ranks = [int(tag[1]) for tag, _ in seen.elements if tag in ("h1", "h2", "h3", "h4")]
    assert ranks[0] == 1 and ranks.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(ranks))


def test_links_lead_to_places_on_the_page(seen: Seen) -> None:
    places = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(places) == len(set(places))
    linked = {attributes["href"][1:] for _, attributes in seen.elements if attributes.get("href", "").startswith("#")}
    assert linked and linked <= set(places)


def test_a_part_without_anything_in_it_is_left_out(text: str) -> None:
    assert "Metrics on TEST" in text
    assert "Nothing was seen" not in text


def test_a_picture_that_is_none_is_refused() -> None:
    broken = Page("title", "safety", [], sections=[Part("Pictures", plots=[Picture(b"no picture", "words")])])
    with pytest.raises(EvaluationError, match="Received"):
        write_page(broken)


def test_every_caption_is_a_sentence() -> None:
    assert all(words[0].isupper() and words.endswith(".") for words in CAPTIONS.values())


def written(part: Part) -> Seen:
    return Seen(write_page(Page("title", "safety", [], sections=[part])))


def test_a_page_without_findings_has_neither_contents_nor_cards() -> None:
    seen = Seen(write_page(Page("title", "", ["Words."])))
    assert not seen.all("nav") and not seen.all("section") and not seen.all("ul")
    assert len(seen.all("p")) == 1


def test_a_table_without_rows_is_left_out_and_so_is_a_part_of_nothing_else() -> None:
    empty = Table(("figure", "value"), [])
    assert not written(Part("Tables", [], {"nothing": empty})).all("section")
    assert not written(Part("Tables", ["Words."], {"nothing": empty})).all("table")


def test_columns_of_numbers_stand_to_the_right_and_names_and_words_to_the_left() -> None:
    rows = [("1", "0.912 (0.887 to 0.934)", "a remark"), ("2", "no scans", "2 remarks"), ("3", "-0.1", "")]
    seen = written(Part("Tables", [], {"three": Table(("rank", "change", "words"), rows)}))
    assert [cell.get("class", "") for cell in seen.all("td")] == ["number", ""] * 3
    assert [cell["data-column"] for cell in seen.all("td")] == ["change", "words"] * 3, "said on a phone"
    assert [head["scope"] for head in seen.all("th")] == ["col"] * 3 + ["row"] * 3
    assert [head.get("class", "") for head in seen.all("th")][:3] == ["", "number", ""]


def test_a_table_scrolls_within_itself_and_the_keyboard_reaches_it() -> None:
    seen = written(Part("Tables", [], {"three": Table(("figure", "value"), [("auc", "0.9")])}))
    (frame,) = [attributes for attributes in seen.all("div") if attributes.get("class") == "scroll"]
    assert frame["tabindex"] == "0" and frame["aria-label"] == "three"


def test_a_row_without_a_cell_for_each_column_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"each of \['figure', 'value'\]\. Received: \['auc'\]"):
        written(Part("Tables", [], {"short": Table(("figure", "value"), [("auc",)])}))


def test_a_picture_without_alternative_text_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"must have alternative text\. Received: alt=' '"):
        written(Part("Pictures", plots=[Picture(png(), " ")]))
