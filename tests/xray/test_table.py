"""A table is columns and rows: as Markdown, and as JSON, from which it comes back."""

import json

from xray.table import Table

TABLE = Table(("figure", "value"), [("auc", "0.982"), ("accuracy", "0.941")])


def test_it_is_written_as_markdown() -> None:
    assert TABLE.markdown().splitlines() == [
        "| figure | value |",
        "| --- | --- |",
        "| auc | 0.982 |",
        "| accuracy | 0.941 |",
    ]


def test_it_comes_back_from_json() -> None:
    assert Table(*json.loads(json.dumps(TABLE))).markdown() == TABLE.markdown()
