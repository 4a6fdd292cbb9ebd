"""A run's report as one HTML file that loads nothing, so that it opens from disk and inside MLflow.

`page.html` is the frame, `page.css` the look, and `page.js`, which the page can do without, mends its links inside
MLflow. Whatever comes from data is escaped. Past 150 lines, since what a page holds and how each part of it is written
are read side by side.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from xray.errors import EvaluationError
from xray.evaluation.canvas import ACCENT, BLUE, GRID, INK
from xray.evaluation.embed import embed

FRAME, STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("html", "css", "js"))

LIGHT = {"ground": "#ffffff", "card": "#f6f8fa", "line": GRID, "ink": INK, "quiet": "#59646f"}
LIGHT |= {"link": BLUE, "mark": ACCENT}
DARK = {"ground": "#12181f", "card": "#1a222b", "line": "#2d3844", "ink": "#e6ebf0", "quiet": "#a7b3bf"}
DARK |= {"link": "#8cc0ea", "mark": "#f08a4b"}
"""The pictures' palette, and the same lightened for a dark ground. Text has a contrast of at least 4.5 in both."""

_NUMBER = re.compile("[-+±<>≤≥\N{MINUS SIGN}]? ?\\d")
_LONGEST_NUMBER = 36


@dataclass(frozen=True)
class Headline:
    """A figure on top of the page.

    Attributes:
        name: What is measured.
        value: The figure, as it is to be read.
        interval: Its interval in words, or empty.
        meaning: What it says, in a line, or empty.
    """

    name: str
    value: str
    interval: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Table:
    """A table; without rows it is left out.

    Attributes:
        caption: What it shows.
        columns: Headings. The first column names the rows.
        rows: Cells in words, one for each column. A column that is mostly numbers is set to the right.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        png: The bytes of a PNG file, or its path.
        alt: What is to be seen, for who cannot see it.
        caption: What it shows, or empty.
    """

    png: bytes | Path
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Part:
    """A section: paragraphs, then tables, then pictures. Without any of them it is left out."""

    title: str
    words: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Page:
    """What a report says, from top to bottom; empty parts are left out.

    Attributes:
        title: Of the page.
        safety: What the model must not be used for, or empty.
        lead: Paragraphs: what was trained on what.
        headline: The figures that matter most.
        sections: The findings, in order.
        limits: What the figures do not say.
        facts: Digests, commit, versions and dates by name.
    """

    title: str
    safety: str
    lead: Sequence[str]
    headline: Sequence[Headline] = ()
    sections: Sequence[Part] = ()
    limits: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def write_page(page: Page) -> str:
    """Write a report as a whole HTML5 document in English.

    Raises:
        EvaluationError: A row has not one cell for each column, or a picture is no PNG or has no alternative text.
    """
    parts = [
        ("At a glance", _list(map(_card, page.headline), "cards")),
        *((part.title, _part(part)) for part in page.sections),
        ("Limits", _list(map(escape, page.limits), "limits")),
        ("Facts", _facts(page.facts)),
    ]
    numbered = [(f"part-{number}", escape(title), body) for number, (title, body) in enumerate(parts) if body]
    script = SCRIPT.read_text(encoding="utf-8")
    return Template(FRAME.read_text(encoding="utf-8")).substitute(
        title=escape(page.title),
        style=_style(),
        script=script,
        # The one script that a browser may run here: a name that holds another one would get nowhere.
        script_digest=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        opening="\n".join(filter(None, [_paragraphs(page.lead), _paragraphs([page.safety], "safety")])),
        contents=_contents(numbered),
        sections="\n".join(
            f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n'
            f'<h2 id="{anchor}-title">{title}</h2>\n{body}\n</section>'
            for anchor, title, body in numbered
        ),
    )


def _style() -> str:
    light, dark = ("".join(f"--{name}: {color}; " for name, color in shade.items()) for shade in (LIGHT, DARK))
    # On screen alone: paper is white.
    night = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}"
    return f":root {{ {light}}}\n{night}\n{STYLE.read_text(encoding='utf-8')}"


def _contents(numbered: Sequence[tuple[str, str, str]]) -> str:
    if not numbered:
        return ""
    links = _list((f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in numbered), "contents")
    return f'<nav aria-labelledby="contents-title">\n<h2 id="contents-title">Contents</h2>\n{links}\n</nav>'


def _part(part: Part) -> str:
    tables = [_table(table) for table in part.tables if table.rows]
    return "\n".join(filter(None, [_paragraphs(part.words), *tables, *map(_picture, part.pictures)]))


def _paragraphs(words: Sequence[str], kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return "\n".join(f"<p{named}>{escape(paragraph)}</p>" for paragraph in words if paragraph.strip())


def _list(items: Iterable[str], kind: str) -> str:
    lines = "\n".join(f"<li>{item}</li>" for item in items if item)
    # Safari no longer calls a list without bullets a list, unless it is told to.
    return f'<ul class="{kind}" role="list">\n{lines}\n</ul>' if lines else ""


def _card(headline: Headline) -> str:
    return "".join(_paragraphs([text], name) for name, text in vars(headline).items())


def _facts(facts: Mapping[str, str]) -> str:
    lines = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>\n{lines}\n</dl>" if lines else ""


def _table(table: Table) -> str:
    for row in table.rows:
        if len(row) != len(table.columns):
            raise EvaluationError(f"a row must have a cell for each of {list(table.columns)}. Received: {list(row)}")
    cells = enumerate(zip(*table.rows, strict=True))
    kinds = [' class="number"' if place and _of_numbers(column) else "" for place, column in cells]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(table.columns, kinds, strict=True)
    )
    lines = "\n".join(f"<tr>{_row(row, kinds)}</tr>" for row in table.rows)
    caption = escape(table.caption)
    # It takes the keyboard's focus, so that what is wider than the page can be reached without a mouse.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">\n'
        f"<table>\n<caption><span>{caption}</span></caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>\n</div>"
    )


def _row(row: Sequence[str], kinds: Sequence[str]) -> str:
    cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True))
    return f'<th scope="row">{escape(row[0])}</th>{cells}'


def _of_numbers(cells: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in cells if cell.strip()]
    return 2 * sum(bool(_NUMBER.match(cell)) and len(cell) <= _LONGEST_NUMBER for cell in filled) > len(filled)


def _picture(picture: Picture) -> str:
    if not picture.alt.strip():
        raise EvaluationError(f"a picture must have alternative text. Received: alt={picture.alt!r}")
    embedded, alt = embed(picture.png), escape(picture.alt)
    size = f'width="{embedded.width}" height="{embedded.height}"'
    caption = f"\n<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption.strip() else ""
    return (
        f'<figure>\n<label class="frame"><input type="checkbox" aria-label="Full size: {alt}">'
        f'<img src="{embedded.address}" {size} alt="{alt}"></label>{caption}\n</figure>'
    )
