"""The report beside the scores: measured from the inbox, compared, drawn, and honest where it cannot compare."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.xray.conftest import Learned
from xray import config
from xray.evaluation.drift.reference import write_reference
from xray.scoring.drift_report import NO_REFERENCE, OTHER_NORMALIZER, report_drift
from xray.scoring.score_ledger import Entry, opened

SETTINGS = config.Drift(least_scans=20, limit=0.8)  # validation has some thirty phantoms, so chance moves it far


@pytest.fixture
def reference(prepared: Learned, tmp_path: Path) -> Path:
    rows = prepared.catalog.rows()
    p = np.random.default_rng(0).uniform(size=len(rows))
    scores = pd.DataFrame({"sha256": rows["sha256"], "p_pneumonia": p})
    write_reference(tmp_path / "reference.parquet", rows, scores, prepared.store, prepared.config.images)
    return tmp_path / "reference.parquet"


@pytest.fixture
def inbox(prepared: Learned, tmp_path: Path) -> Callable[[int], Entry]:
    """Training scans delivered to an inbox, each gray value more by some number, and scored evenly from 0 to 1."""

    def deliver(more: int) -> Entry:
        folder = tmp_path / "inbox"
        folder.mkdir()
        rows = prepared.catalog.rows("train")
        scored = []
        for number, (path, sha256) in enumerate(zip(rows["path"], rows["sha256"], strict=True)):
            with Image.open(prepared.catalog.data / path) as scan:
                scan.convert("L").point(lambda gray: gray + more).save(folder / f"{number}.png")
            about = {"image": f"{number}.png", "sha256": sha256, "model_version": "m/1"}
            score = {"p_pneumonia": number / len(rows), "decision": "normal", "threshold": 0.5}
            scored.append({**about, **score, "scored_at": datetime.now(UTC)})
        with opened(tmp_path / "ledger") as ledger:
            ledger.add(scored)
            entry = ledger.join()
        assert entry is not None
        return entry

    return deliver


def test_scans_like_the_models_own_raise_no_alarm(
    inbox: Callable[[int], Entry], reference: Path, tmp_path: Path
) -> None:
    report = report_drift(inbox(0), tmp_path / "inbox", reference, SETTINGS)
    assert (report.values()["alarms"], report.values()["remark"]) == ([], None)
    assert report.values()["current"]["brightness"]["psi"] < 0.01
    (picture,) = report.plots()
    with Image.open(picture) as drawn:
        assert drawn.width >= 800 and np.asarray(drawn.convert("L")).std() > 5


def test_brighter_scans_raise_the_alarm_for_brightness_alone(
    inbox: Callable[[int], Entry], reference: Path, tmp_path: Path
) -> None:
    report = report_drift(inbox(40), tmp_path / "inbox", reference, SETTINGS)
    values = report.values()
    assert "brightness" in values["alarms"]
    assert not {"width", "height", "p_pneumonia"} & set(values["alarms"])
    assert values["current"]["brightness"]["median"] > values["current"]["brightness"]["reference_median"] + 30
    assert set(values["control"]) == set(values["current"]), "TEST scans stand beside"


def test_without_a_reference_it_says_so(inbox: Callable[[int], Entry], tmp_path: Path) -> None:
    report = report_drift(inbox(0), tmp_path / "inbox", None, SETTINGS)
    assert (report.values()["remark"], report.values()["rows"], report.plots()) == (NO_REFERENCE, [], [])


def test_looks_of_another_normalizer_are_not_compared(
    inbox: Callable[[int], Entry], reference: Path, tmp_path: Path
) -> None:
    table = pq.read_table(reference)
    about = json.loads(table.schema.metadata[b"xray"]) | {"normalizer": "another"}
    pq.write_table(table.replace_schema_metadata({b"xray": json.dumps(about)}), reference)
    values = report_drift(inbox(0), tmp_path / "inbox", reference, SETTINGS).values()
    assert values["remark"] == OTHER_NORMALIZER
    assert list(values["current"]) == ["p_pneumonia"]


def test_of_many_scans_some_are_looked_at_and_those_that_are_gone_left_out(
    inbox: Callable[[int], Entry], reference: Path, tmp_path: Path
) -> None:
    entry = inbox(0)
    for path in list((tmp_path / "inbox").iterdir())[::2]:
        path.unlink()
    values = report_drift(entry, tmp_path / "inbox", reference, config.Drift(most_scans=100)).values()
    assert values["current"]["p_pneumonia"]["scans"] == 100
    assert 20 < values["current"]["brightness"]["scans"] < 80
