"""One move at a time, whoever dies: real processes, killed at every write and started together."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.xray.promotion.promoters import NAME, WRITES, carried_out, plan, with_versions
from xray.config import Workspace
from xray.promotion import protocol
from xray.promotion.decision_log import DecisionLog
from xray.promotion.decision_record import (
    EXTERNAL,
    PROMOTE,
    PROMOTED,
    REFUSED,
    WITHDRAWN,
    Decision,
    PlannedDecision,
    last_move,
)
from xray.promotion.protocol import carry_out, reconcile, reconcile_log
from xray.tracking.owning_process import Owner

pytestmark = pytest.mark.long(40)

KILLS = [(write, when) for write in WRITES for when in ("before", "after")]
FIRST = PlannedDecision(PROMOTE, PROMOTED, 1, None, "2", "a test")


@pytest.fixture
def decision_log(workspace: Workspace) -> DecisionLog:
    with_versions(workspace)
    return DecisionLog(workspace, NAME)


def verdicts(decision_log: DecisionLog) -> list[tuple[str, str | None, str | None]]:
    return [(record.draft.kind, record.draft.after, record.verdict) for record in decision_log.records()]


@pytest.fixture(scope="module")
def killed(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Workspace]:
    """A home for each kill: version 1 was champion, version 2 challenger; its promotion was killed there."""
    homes, plans = {}, []
    root = tmp_path_factory.mktemp("killed")
    first = Workspace(home=root / "first")
    first.mlruns.mkdir(parents=True)
    shutil.copy(migrated, first.mlruns / "mlflow.db")
    client = with_versions(first)
    carry_out(DecisionLog(first, NAME), PlannedDecision(PROMOTE, PROMOTED, 1, None, "1", "the first"))
    client.set_registered_model_alias(NAME, "challenger", "2")
    for number, kill in enumerate(KILLS):
        homes[kill] = Workspace(home=root / str(number))
        homes[kill].mlruns.mkdir(parents=True)
        shutil.copy(first.mlruns / "mlflow.db", homes[kill].mlruns / "mlflow.db")
        plans.append(plan(homes[kill], "2", before="1", number=2, kill=kill))
    assert carried_out(plans) == [-9] * len(KILLS)
    return homes


@pytest.mark.parametrize("kill", KILLS, ids=" ".join)
def test_killed_at_any_write_one_version_is_champion_and_the_history_says_so(
    kill: tuple[str, str], killed: dict[tuple[str, str], Workspace]
) -> None:
    decision_log = DecisionLog(killed[kill], NAME)
    moved = decision_log.champion() == "2"
    reconcile(killed[kill], NAME)
    records = decision_log.records()
    last = last_move(records)
    assert decision_log.champion() == ("2" if moved else "1")
    assert last is not None and last.draft.after == decision_log.champion()
    assert all(record.verdict is not None and record.closed for record in records)
    assert not any(record.draft.kind == EXTERNAL for record in records)
    aliases, tags = decision_log.aliases(), decision_log.client.get_model_version(NAME, "2").tags
    assert aliases.get("challenger") == (None if moved else "2")
    assert tags.get("promotion.verdict") == (PROMOTED if moved else None)
    assert [record.verdict for record in records[1:]] == (
        [] if kill == KILLS[0] else [PROMOTED if moved else WITHDRAWN]
    )
    reconcile(killed[kill], NAME)
    assert decision_log.records() == records, "settled once, nothing is left to settle"


def test_a_kill_before_the_alias_is_moved_and_one_after_it_both_happen(
    killed: dict[tuple[str, str], Workspace],
) -> None:
    champions = {kill: DecisionLog(workspace, NAME).champion() for kill, workspace in killed.items()}
    move = KILLS.index(("set_registered_model_alias", "after"))
    assert [champions[kill] for kill in KILLS] == ["1"] * move + ["2"] * (len(KILLS) - move)


@pytest.mark.parametrize("attempt", range(2))
def test_of_promotions_at_once_exactly_one_wins_and_the_others_say_so(
    attempt: int, decision_log: DecisionLog, workspace: Workspace, tmp_path: Path
) -> None:
    plans = [plan(workspace, version, gate=str(tmp_path / "gate")) for version in ("1", "2", "3")]
    assert carried_out(plans) == [0, 0, 0]
    records = decision_log.records()
    won = [record for record in records if record.verdict == PROMOTED]
    lost = [record for record in records if record.verdict == WITHDRAWN]
    assert (len(won), len(lost)) == (1, 2)
    assert decision_log.champion() == won[0].draft.after
    assert all("came first" in record.outcome or "has changed since" in record.outcome for record in lost)


def test_two_commands_that_notice_a_move_by_hand_record_it_once(
    decision_log: DecisionLog, workspace: Workspace, tmp_path: Path
) -> None:
    carry_out(decision_log, FIRST)
    decision_log.client.set_registered_model_alias(NAME, "champion", "3")
    assert carried_out([plan(workspace, None, gate=str(tmp_path / "gate")) for _ in range(3)]) == [0, 0, 0]
    reconcile(workspace, NAME)
    assert verdicts(decision_log) == [(PROMOTE, "2", PROMOTED), (EXTERNAL, "3", EXTERNAL)]
    (record,) = decision_log.records()[1:]
    assert record.draft.before == "2" and "there was no evaluation" in record.draft.reason
    assert decision_log.client.get_model_version(NAME, "3").tags["promotion.verdict"] == EXTERNAL


@pytest.mark.parametrize("read", range(11))
def test_a_move_by_hand_is_recorded_once_whenever_another_command_records_it_meanwhile(
    read: int, decision_log: DecisionLog, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command settles in whole just before one of this command's reads of the alias or the records."""
    carry_out(decision_log, FIRST)
    decision_log.client.set_registered_model_alias(NAME, "champion", "3")
    reads = 0

    def after_another(name: str) -> None:
        ours = getattr(decision_log, name)

        def call(*arguments: Any) -> Any:
            nonlocal reads
            reads += 1
            if reads == read + 1:
                reconcile(workspace, NAME)
            return ours(*arguments)

        monkeypatch.setattr(decision_log, name, call)

    for name in ("records", "champion", "reread"):
        after_another(name)
    reconcile_log(decision_log)
    monkeypatch.undo()
    assert reads > read, "there was such a read"
    assert verdicts(decision_log) == [(PROMOTE, "2", PROMOTED), (EXTERNAL, "3", EXTERNAL)]


def test_a_record_that_was_taken_back_and_whose_process_then_ended_is_left_alone(
    another: Any, decision_log: DecisionLog
) -> None:
    taken_back = another("1")
    decision_log.drop(taken_back)
    assert protocol.finish(decision_log, taken_back).dropped
    assert (
        decision_log.records() == []
        and "promotion.verdict" not in decision_log.client.get_model_version(NAME, "1").tags
    )


def test_a_champion_that_was_there_before_any_record_and_one_taken_away_are_recorded(
    decision_log: DecisionLog, workspace: Workspace
) -> None:
    decision_log.client.set_registered_model_alias(NAME, "champion", "1")
    reconcile(workspace, NAME)
    decision_log.client.delete_registered_model_alias(NAME, "champion")
    reconcile(workspace, NAME)
    assert verdicts(decision_log) == [(EXTERNAL, "1", EXTERNAL), (EXTERNAL, None, EXTERNAL)]


def test_nothing_decided_makes_no_experiment(decision_log: DecisionLog, workspace: Workspace) -> None:
    reconcile(workspace, NAME)
    assert decision_log.client.get_experiment_by_name(decision_log.experiment) is None
    assert decision_log.records() == []


def test_what_was_judged_against_another_champion_is_withdrawn(decision_log: DecisionLog) -> None:
    carry_out(decision_log, FIRST)
    late = carry_out(decision_log, PlannedDecision(PROMOTE, PROMOTED, 1, None, "3", "a test"))
    assert late.verdict == WITHDRAWN
    assert late.outcome.startswith("the champion has changed since this decision: it is version 2 now, by a promotion")
    assert decision_log.champion() == "2"


def test_a_champion_that_went_and_came_back_has_changed_too(decision_log: DecisionLog) -> None:
    carry_out(decision_log, PlannedDecision(PROMOTE, PROMOTED, 1, None, "1", "a test"))
    carry_out(decision_log, PlannedDecision(PROMOTE, PROMOTED, 2, "1", "2", "a test"))
    carry_out(decision_log, PlannedDecision(PROMOTE, PROMOTED, 3, "2", "1", "a test"))
    assert carry_out(decision_log, PlannedDecision(PROMOTE, PROMOTED, 2, "1", "3", "a test")).verdict == WITHDRAWN


def test_a_refusal_is_recorded_and_moves_nothing(decision_log: DecisionLog) -> None:
    record = carry_out(decision_log, PlannedDecision(PROMOTE, REFUSED, 1, None, "2", "a test"))
    assert record.verdict == REFUSED and decision_log.champion() is None
    assert decision_log.client.get_model_version(NAME, "2").tags["promotion.verdict"] == REFUSED


def test_a_verdict_once_given_stays(decision_log: DecisionLog) -> None:
    record = carry_out(decision_log, FIRST)
    assert decision_log.close(record, WITHDRAWN, "too late").verdict == PROMOTED
    assert decision_log.reread(record).outcome == ""


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch, decision_log: DecisionLog) -> Iterator[Any]:
    """Open an intent of another process of this machine, which lives on."""
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owner = Owner(socket.gethostname(), child.pid, psutil.Process(child.pid).create_time())

    def opened(version: str) -> Decision:
        with monkeypatch.context() as patch:
            patch.setattr(Owner, "this", classmethod(lambda cls: owner))
            return decision_log.open(PlannedDecision(PROMOTE, PROMOTED, 1, None, version, "another"))

    yield opened
    child.kill()
    child.communicate()


def test_an_intent_of_a_living_process_is_left_alone_and_goes_first(
    another: Any, decision_log: DecisionLog, workspace: Workspace
) -> None:
    rival = another("1")
    decision_log.move("1")
    reconcile(workspace, NAME)
    assert decision_log.reread(rival).verdict is None, "neither settled nor taken for a change outside xray"
    mine = carry_out(decision_log, FIRST)
    assert mine.verdict == WITHDRAWN
    assert mine.outcome == f"another promotion to version 1 by {rival.by} came first"


def test_a_later_intent_is_waited_for(another: Any, decision_log: DecisionLog) -> None:
    withdrawals = []

    def rival(record: Decision) -> None:
        later = another("1")
        assert later.order > record.order
        withdrawals.append(threading.Timer(0.3, decision_log.close, (later, WITHDRAWN, "it was second")))
        withdrawals[0].start()

    assert carry_out(decision_log, FIRST, rival).verdict == PROMOTED
    withdrawals[0].join()
    assert sorted(str(record.verdict) for record in decision_log.records()) == [PROMOTED, WITHDRAWN]


def test_a_later_intent_that_never_ends_is_waited_for_no_longer_than_patience(
    another: Any, decision_log: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PATIENCE_SECONDS", 0.2)
    mine = carry_out(decision_log, FIRST, lambda record: another("1"))
    assert mine.verdict == WITHDRAWN and "has not ended in 0.2 s" in mine.outcome


def test_an_intent_of_another_machine_is_left_alone_until_it_is_old(
    decision_log: DecisionLog, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Owner, "this", classmethod(lambda cls: Owner("elsewhere", 1, 0.0)))
        foreign = decision_log.open(FIRST)
    reconcile(workspace, NAME)
    assert decision_log.reread(foreign).verdict is None
    monkeypatch.setattr(protocol, "ABANDONED_SECONDS", 0.0)
    reconcile(workspace, NAME)
    assert decision_log.reread(foreign).verdict == WITHDRAWN


def test_an_error_on_the_way_leaves_no_open_intent(decision_log: DecisionLog) -> None:
    def broken(record: Decision) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(decision_log, FIRST, broken)
    assert verdicts(decision_log) == [(PROMOTE, "2", WITHDRAWN)]


def test_an_intent_that_was_given_up_meanwhile_moves_nothing(decision_log: DecisionLog) -> None:
    def given_up(record: Decision) -> None:
        decision_log.close(record, WITHDRAWN, "taken for dead")

    assert carry_out(decision_log, FIRST, given_up).verdict == WITHDRAWN
    assert decision_log.champion() is None
