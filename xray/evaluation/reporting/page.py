"""A run's report as one HTML file that loads nothing, so that it opens from disk and inside MLflow.

`page.html` is the frame, `page.css` the look, and `page.js`, which the page can do without, mends its links inside
MLflow. Whatever comes from data is escaped. Past 150 lines, since what a page holds and how each part of it is written
are read side by side. Tables are in `tables`.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from xray.errors import EvaluationError
from xray.evaluation.plots.style import ACCENT, BLUE, GRID, INK
from xray.evaluation.reporting.png import embed
from xray.evaluation.reporting.tables import write_table
from xray.table import Table

FRAME, STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("html", "css", "js"))

LIGHT = {"ground": "#ffffff", "card": "#f6f8fa", "line": GRID, "ink": INK, "quiet": "#59646f"}
LIGHT |= {"link": BLUE, "mark": ACCENT}
DARK = {"ground": "#12181f", "card": "#1a222b", "line": "#2d3844", "ink": "#e6ebf0", "quiet": "#a7b3bf"}
DARK |= {"link": "#8cc0ea", "mark": "#f08a4b"}
"""The pictures' palette, and the same lightened for a dark ground. Text has a contrast of at least 4.5 in both."""


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
class Point:
    """What a reader must know before trusting the figures.

    Attributes:
        topic: In a word or two.
        words: A sentence or two.
        weak: Whether it speaks against the model; it is marked then.
    """

    topic: str
    words: str
    weak: bool = False


@dataclass(frozen=True)
class Link:
    """A fact that leads somewhere: words, and an address that begins with http:// or https://."""

    words: str
    address: str


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
    tables: Mapping[str, Table] = field(default_factory=dict)
    plots: Sequence[Picture] = ()


@dataclass(frozen=True)
class Page:
    """What a report says, from top to bottom; empty parts are left out.

    Attributes:
        title: Of the page.
        safety: What the model must not be used for, or empty.
        lead: Paragraphs: what was trained on what.
        about: Where the page comes from, by name: date, recipe, run, version.
        notice: What puts all figures into question, or empty.
        headline: The figures that matter most.
        measured_on: What they were measured on.
        points: What must be known beside them.
        sections: The findings, in order.
        limits: What the figures do not say.
        facts: Digests, commit, versions and dates by name.
    """

    title: str
    safety: str
    lead: Sequence[str]
    about: Mapping[str, str | Link] = field(default_factory=dict)
    notice: str = ""
    headline: Sequence[Headline] = ()
    measured_on: str = "TEST"
    points: Sequence[Point] = ()
    sections: Sequence[Part] = ()
    limits: Sequence[str] = ()
    facts: Mapping[str, str | Link] = field(default_factory=dict)


def write_page(page: Page) -> str:
    """Write a report as a whole HTML5 document in English.

    Raises:
        EvaluationError: A row has not one cell for each column, or a picture is no PNG or has no alternative text.
    """
    parts = [
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
        opening=_opening(page),
        glance=_glance(page),
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


def _opening(page: Page) -> str:
    about = "".join(f"<div><dt>{escape(name)}</dt><dd>{_fact(value)}</dd></div>" for name, value in page.about.items())
    return "\n".join(
        filter(
            None,
            [
                f'<dl class="about">{about}</dl>' if about else "",
                _paragraphs([page.notice], "notice"),
                _paragraphs([page.safety], "safety"),
                _paragraphs(page.lead),
            ],
        )
    )


def _glance(page: Page) -> str:
    cards, points = _list(map(_card, page.headline), "cards"), _list(map(_point, page.points), "points")
    blocks = [
        f'<section class="{kind}-part" aria-labelledby="{kind}-title">\n<h2 id="{kind}-title">{title}</h2>\n{body}\n'
        "</section>"
        for kind, title, body in (
            ("points", "Reasons for caution", points),
            ("cards", f"Results on {escape(page.measured_on)}", cards),
        )
        if body
    ]
    return '<div class="glance">\n' + "\n".join(blocks) + "\n</div>" if blocks else ""


def _point(point: Point) -> str:
    kind = ' class="weak"' if point.weak else ""
    return f"<p{kind}><strong>{escape(point.topic)}.</strong> {escape(point.words)}</p>"


def _contents(numbered: Sequence[tuple[str, str, str]]) -> str:
    if not numbered:
        return ""
    links = _list((f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in numbered), "contents")
    return f'<nav aria-labelledby="contents-title">\n<h2 id="contents-title">Contents</h2>\n{links}\n</nav>'


def _part(part: Part) -> str:
    tables = [write_table(caption, table) for caption, table in part.tables.items() if table.rows]
    return "\n".join(filter(None, [_paragraphs(part.words), *tables, *map(_picture, part.plots)]))


def _paragraphs(words: Sequence[str], kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return "\n".join(f"<p{named}>{escape(paragraph)}</p>" for paragraph in words if paragraph.strip())


def _list(items: Iterable[str], kind: str) -> str:
    lines = "\n".join(f"<li>{item}</li>" for item in items if item)
    # Safari no longer calls a list without bullets a list, unless it is told to.
    return f'<ul class="{kind}" role="list">\n{lines}\n</ul>' if lines else ""


def _card(headline: Headline) -> str:
    return "".join(_paragraphs([text], name) for name, text in vars(headline).items())


def _fact(value: str | Link) -> str:
    if isinstance(value, str):
        return escape(value)
    if not value.address.startswith(("http://", "https://")):
        raise EvaluationError(f"a link must begin with http:// or https://. Received: {value.address}")
    return f'<a href="{escape(value.address)}" rel="noreferrer">{escape(value.words)}</a>'


def _facts(facts: Mapping[str, str | Link]) -> str:
    lines = "\n".join(f"<dt>{escape(name)}</dt><dd>{_fact(value)}</dd>" for name, value in facts.items())
    return f"<dl>\n{lines}\n</dl>" if lines else ""


def _picture(picture: Picture) -> str:
    if not picture.alt.strip():
        raise EvaluationError(f"an image must have alternative text. Received: alt={picture.alt!r}")
    embedded, alt = embed(picture.png), escape(picture.alt)
    size = f'width="{embedded.width}" height="{embedded.height}"'
    caption = f"\n<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption.strip() else ""
    return (
        f'<figure>\n<label class="frame"><input type="checkbox" aria-label="Full size: {alt}">'
        f'<img src="{embedded.address}" {size} alt="{alt}"></label>{caption}\n</figure>'
    )
