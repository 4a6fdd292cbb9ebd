"""Progress reaches whoever watches the command at every step, and Prefect's server now and then."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks import artifacts, progress
from tasks.progress import doing, progress_of, watcher

Call = tuple[str, int, int | None]


class Server:
    """What Prefect's server was told, in percent; it may be away for the first few calls."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.away = 0
        self.made = self.not_yet = 0

    def create(self, **words: Any) -> Any:
        self.made += 1
        if self.made <= self.not_yet:
            raise httpx.ConnectError("connection refused")
        return create_progress_artifact(**words)

    def update(self, artifact_id: Any, progress: float) -> Any:
        self.told.append(progress)
        if len(self.told) <= self.away:
            raise httpx.ConnectError("connection refused")
        return update_progress_artifact(artifact_id, progress=progress)


@pytest.fixture
def watched() -> Iterator[list[Call]]:
    """What a watcher was told."""
    calls: list[Call] = []
    token = watcher.set(lambda what, done, total: calls.append((what, done, total)))
    yield calls
    watcher.reset(token)


@pytest.fixture
def server(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(artifacts, "create_progress_artifact", server.create)
    monkeypatch.setattr(artifacts, "update_progress_artifact", server.update)
    return server


def reported(what: str, *steps: tuple[int, int]) -> None:
    """Report steps from within a flow, as a task does."""

    def body() -> None:
        report: Callable[[int, int], None] = progress_of(what)
        for done, total in steps:
            report(done, total)

    flow(name="reported", persist_result=False)(body)()


def test_a_watcher_sees_every_step(server: Server, watched: list[Call]) -> None:
    reported("epochs", (0, 3), (1, 3), (2, 3), (3, 3))
    assert watched == [("epochs", 0, 3), ("epochs", 1, 3), ("epochs", 2, 3), ("epochs", 3, 3)]


def test_the_server_is_told_the_end_and_not_every_step(server: Server) -> None:
    reported("scans", *((done, 50) for done in range(1, 51)))
    assert server.told == [100.0]


def test_the_server_is_told_again_once_the_pause_is_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0.0)
    reported("scans", (1, 4), (2, 4))
    assert server.told == [25.0, 50.0]


def test_nothing_to_do_is_done(server: Server) -> None:
    reported("scans", (0, 0))
    assert server.told == [0.0]


def test_a_flow_that_nobody_watches_reports_all_the_same(server: Server) -> None:
    assert watcher.get() is None
    reported("epochs", (2, 2))
    assert server.told == [100.0]


def test_a_server_that_is_away_stops_no_work_and_is_left_alone_for_a_while(
    server: Server, watched: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0.0)
    server.away = 1
    reported("epochs", (1, 4), (2, 4), (3, 4), (4, 4))
    assert server.told == [25.0, 100.0]
    assert len(watched) == 4


def test_a_bar_that_cannot_be_made_stops_no_work_and_is_made_once_the_pause_is_over(
    server: Server, watched: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.not_yet = 1
    reported("epochs", (1, 2), (2, 2))
    assert (server.made, server.told) == (1, [])
    monkeypatch.setattr(progress, "SECONDS_AFTER_A_FAILURE", 0.0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0.0)
    server.not_yet = 2
    reported("epochs", (1, 2), (2, 2))
    assert (server.made, server.told) == (3, [50.0, 100.0])
    assert len(watched) == 4


def test_a_watcher_is_told_what_cannot_be_counted_part_by_part_and_its_end(watched: list[Call]) -> None:
    with pytest.raises(ValueError, match="failed"), doing("inspecting") as now:
        now("maps")
        raise ValueError("failed")
    assert watched == [
        ("inspecting", 0, None), ("inspecting", 1, 1),
        ("inspecting: maps", 0, None), ("inspecting: maps", 1, 1),
    ]  # fmt: skip


def test_what_is_done_unwatched_is_told_to_nobody() -> None:
    with doing("evaluating") as now:
        now("pictures")
