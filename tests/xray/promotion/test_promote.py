"""What a promotion, a refusal and a rollback leave behind. Judged on made-up scores: nothing is loaded here."""

import json
from contextlib import suppress
from pathlib import Path

import mlflow.artifacts
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from tests.xray.promotion.promoters import NAME, with_versions
from xray import config
from xray.config import Workspace
from xray.errors import RegistryError
from xray.evaluation.metrics.paired_comparison import compare
from xray.evaluation.metrics.split_metrics import evaluate_split
from xray.models.model_files import DIGEST_TAG
from xray.promotion.challenge import ChampionComparison, NotCompared
from xray.promotion.decision_log import EVIDENCE, DecisionLog
from xray.promotion.decision_record import EXTERNAL, PROMOTED, REFUSED, RETURNED, WITHDRAWN, Challenge
from xray.promotion.outcome import PromotionOutcome
from xray.promotion.policy import check_all
from xray.promotion.promote import decide, find_challenge, find_rollback_target
from xray.promotion.promote import rollback as carry_back
from xray.promotion.protocol import reconcile_log
from xray.tracking.run_identity import LOOK
from xray.tracking.store import store_of
from xray.tracking.test_set_use import MARK, code_version

DRAWS = config.Evaluation(bootstrap_draws=100)
POLICY = config.Promotion()


@pytest.fixture
def decision_log(workspace: Workspace) -> DecisionLog:
    with_versions(workspace)
    return DecisionLog(workspace, NAME)


def scores(noise: float) -> pd.DataFrame:
    """Ninety scans of thirty patients, two in three pneumonia; without noise every one is scored rightly."""
    generator = np.random.default_rng(3)
    place = np.arange(90)
    positive = place % 3 > 0
    ids = [str(number) for number in place]
    p = np.clip(np.where(positive, 0.95, 0.05) + generator.normal(scale=noise, size=90), 0, 1)
    return pd.DataFrame({
        "image_id": ids, "sha256": ids, "patient_id": [str(number // 3) for number in place],
        "label": np.where(positive, "pneumonia", "normal"), "subtype": np.where(positive, "viral", "normal"),
        "split": "test", "p_pneumonia": p,
    })  # fmt: skip


def evaluated(
    asked: Challenge, challenger: float = 0.0, champion: float = 0.0, scans: str = "a digest"
) -> ChampionComparison:
    """Judge models that are as noisy as that."""
    table = scores(challenger)
    found = evaluate_split(table, 0.5, DRAWS)
    theirs = None if asked.champion is None else scores(champion)
    comparison = None if theirs is None else compare(theirs, table, (0.5, 0.5), DRAWS)
    return ChampionComparison(
        asked, "a catalog", scans, found, None if theirs is None else evaluate_split(theirs, 0.5, DRAWS), comparison,
        POLICY, DRAWS, check_all(found, comparison, POLICY),
    )  # fmt: skip


def promoted(workspace: Workspace, version: int) -> None:
    asked = find_challenge(workspace, NAME, version)
    assert decide(workspace, asked, evaluated(asked)).record.verdict == PROMOTED


def rollback(workspace: Workspace, name: str, reason: str = "") -> PromotionOutcome:
    return carry_back(workspace, find_rollback_target(workspace, name), reason)


def test_the_challenger_is_the_one_that_bears_the_alias_or_is_named(
    decision_log: DecisionLog, workspace: Workspace
) -> None:
    with pytest.raises(RegistryError, match="name a version, because none has the alias `challenger`"):
        find_challenge(workspace, NAME)
    decision_log.client.set_registered_model_alias(NAME, "challenger", "2")
    assert find_challenge(workspace, NAME) == Challenge(NAME, "2", None, 1)
    assert find_challenge(workspace, NAME, 3) == Challenge(NAME, "3", None, 1)
    with pytest.raises(RegistryError, match=f"a version must be registered. Received: {NAME} version 9"):
        find_challenge(workspace, NAME, 9)
    promoted(workspace, 2)
    with pytest.raises(RegistryError, match=f"must not be champion already. Received: {NAME} version 2"):
        find_challenge(workspace, NAME, 2)
    with pytest.raises(RegistryError, match="a model must be registered: train one first. Received: nobody"):
        find_challenge(workspace, "nobody")


def test_a_promotion_moves_the_alias_ends_the_challenge_and_is_recorded_whole(
    decision_log: DecisionLog, workspace: Workspace
) -> None:
    promoted(workspace, 1)
    decision_log.client.set_registered_model_alias(NAME, "challenger", "2")
    asked = find_challenge(workspace, NAME)
    decision = decide(workspace, asked, evaluated(asked), reason="a good one", flow_run="a-flow-run")
    assert decision.moved and decision.message.startswith(f"{NAME} version 2 promoted: every rule of the policy passes")
    assert decision_log.aliases() == {"champion": "2"}
    run = decision_log.client.get_run(decision.record.run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "promote 2"
    expected = {"kind": "promote", "verdict": PROMOTED, "from": "1", "to": "2", "forced": "false",
                "prefect_flow_run": "a-flow-run", "scans": "a digest"}  # fmt: skip
    assert expected.items() <= run.data.tags.items()
    assert "a good one" in run.data.tags["reason"] and "@" in run.data.tags["by"]
    assert json.loads(run.data.tags["policy"]) == POLICY.model_dump(mode="json")
    assert {"challenger.auc", "champion.sensitivity", "difference.specificity_high"} <= set(run.data.metrics)
    folder = mlflow.artifacts.download_artifacts(artifact_uri=f"{run.info.artifact_uri}/{EVIDENCE}")
    evidence = json.loads(Path(folder).read_text())
    assert evidence["holds"] and len(evidence["checks"]) == 6
    assert {"challenger.auc_low", "champion.sensitivity_high"} <= set(evidence["metrics"])
    tags = decision_log.client.get_model_version(NAME, "2").tags
    assert (tags["promotion.verdict"], tags["promotion.record"]) == (PROMOTED, decision.record.run_id)
    assert tags["promotion.at"].endswith("Z")


def test_who_asked_through_another_process_is_recorded_beside_its_user(
    decision_log: DecisionLog, workspace: Workspace
) -> None:
    asked = find_challenge(workspace, NAME, 1)
    decision = decide(workspace, asked, NotCompared("no scans"), force=True, reason="a test", by="Ada, through Prefect")
    promoted(workspace, 2)
    own = decision_log.records()[-1].by
    assert decision.record.by == f"Ada, through Prefect ({own})"
    assert f"By Ada, through Prefect ({own})." in decision.markdown()
    returned = carry_back(workspace, find_rollback_target(workspace, NAME), by="Grace, through Prefect")
    assert returned.record.by == f"Grace, through Prefect ({own})"


def test_each_judgement_is_one_more_look_at_its_scans(decision_log: DecisionLog, workspace: Workspace) -> None:
    looks = []
    for version, scans in ((1, "these"), (2, "these"), (3, "others")):
        asked = find_challenge(workspace, NAME, version)
        looks.append(decide(workspace, asked, evaluated(asked, scans=scans)).looks)
    assert looks == [1, 2, 1]


def test_whoever_has_looked_at_the_scans_counts(decision_log: DecisionLog, workspace: Workspace) -> None:
    elsewhere = decision_log.client.create_experiment("another-model-decisions")
    decision_log.client.create_run(elsewhere, tags={"kind": "promote", "scans": "these"})
    used = {f"{MARK}these": "yes", f"{LOOK}these.an-evaluation": json.dumps({"at_ms": 1, "code": "abc"})}
    decision_log.client.create_run(decision_log.client.create_experiment("trainings"), tags=used)
    asked = find_challenge(workspace, NAME, 1)
    decision = decide(workspace, asked, evaluated(asked, scans="these"))
    assert decision.looks == 3
    assert "test-set evaluation 3" in decision.scans()
    assert decision_log.client.get_run(decision.record.run_id).data.tags["git_commit"] == code_version()


def test_a_challenger_below_a_floor_is_refused_with_the_reason(decision_log: DecisionLog, workspace: Workspace) -> None:
    decision_log.client.set_registered_model_alias(NAME, "challenger", "2")
    asked = find_challenge(workspace, NAME)
    decision = decide(workspace, asked, evaluated(asked, challenger=3.0))
    assert not decision.moved and decision.record.verdict == REFUSED
    assert "sensitivity must be at least 0.9. Received: 0." in decision.message
    assert decision_log.aliases() == {"challenger": "2"}, "it may be judged again"
    assert decision_log.client.get_model_version(NAME, "2").tags["promotion.verdict"] == REFUSED
    assert "| sensitivity must be at least 0.9 | 0." in decision.markdown()
    assert "test-set evaluation 1" in decision.markdown()


def test_a_challenger_that_loses_against_the_champion_is_refused(
    decision_log: DecisionLog, workspace: Workspace
) -> None:
    promoted(workspace, 1)
    asked = find_challenge(workspace, NAME, 2)
    decision = decide(workspace, asked, evaluated(asked, challenger=0.4))
    assert decision.record.verdict == REFUSED
    assert "against the champion must be below 0.1 at 95 %. Received: -0." in decision.message
    assert decision_log.champion() == "1"


def test_force_needs_a_reason_and_is_recorded_with_what_failed(decision_log: DecisionLog, workspace: Workspace) -> None:
    asked = find_challenge(workspace, NAME, 2)
    with pytest.raises(RegistryError, match="a forced promotion must have a reason"):
        decide(workspace, asked, evaluated(asked), force=True, reason=" ")
    decision = decide(workspace, asked, evaluated(asked, challenger=3.0), force=True, reason="the other one is broken")
    assert decision.moved and decision.record.draft.forced
    assert decision.record.draft.reason.startswith("the other one is broken (forced; sensitivity must be at least")
    assert decision.record.metrics["looks"] == 1


def test_what_cannot_be_judged_is_promoted_by_force_alone_and_says_why(
    decision_log: DecisionLog, workspace: Workspace
) -> None:
    asked = find_challenge(workspace, NAME, 2)
    with pytest.raises(RegistryError, match="must be evaluated, or forced. Received: the scans are gone"):
        decide(workspace, asked, NotCompared("the scans are gone"))
    decision = decide(workspace, asked, NotCompared("the scans are gone"), force=True, reason="needed today")
    assert decision.moved and decision.rows() == [] and decision.scans() == "without an evaluation"
    assert decision.record.draft.reason == "needed today (forced; not evaluated: the scans are gone)"
    assert decision_log.champion() == "2"


def test_two_rollbacks_go_two_back_and_a_third_is_refused(decision_log: DecisionLog, workspace: Workspace) -> None:
    for version in (1, 2, 3):
        promoted(workspace, version)
    first = rollback(workspace, NAME, "too many false alarms")
    assert first.message == f"{NAME} version 2 returned: too many false alarms"
    assert decision_log.client.get_model_version(NAME, "3").tags["promotion.verdict"] == "rolled back"
    assert (rollback(workspace, NAME).record.verdict, decision_log.champion()) == (RETURNED, "1")
    with pytest.raises(RegistryError, match="a previous champion. Received: version 1, which is the first$"):
        rollback(workspace, NAME)
    assert [record.verdict for record in decision_log.records()] == [PROMOTED] * 3 + [RETURNED] * 2


def test_what_a_failing_store_made_us_try_again_moves_once(decision_log: DecisionLog, workspace: Workspace) -> None:
    promoted(workspace, 1)
    asked = find_challenge(workspace, NAME, 2)
    first, again = (decide(workspace, asked, evaluated(asked)) for _ in range(2))
    assert again.record == first.record and again.moved
    back = find_rollback_target(workspace, NAME)
    assert carry_back(workspace, back).record == carry_back(workspace, back).record
    assert [record.verdict for record in decision_log.records()] == [PROMOTED, PROMOTED, RETURNED]
    assert decision_log.champion() == "1"


def test_a_rollback_without_any_champion_is_refused(decision_log: DecisionLog, workspace: Workspace) -> None:
    with pytest.raises(RegistryError, match="Received: no champion$"):
        rollback(workspace, NAME)


def test_a_rollback_goes_behind_a_move_by_hand(decision_log: DecisionLog, workspace: Workspace) -> None:
    promoted(workspace, 1)
    decision_log.client.set_registered_model_alias(NAME, "champion", "3")
    assert rollback(workspace, NAME).moved
    assert decision_log.champion() == "1"
    assert [record.verdict for record in decision_log.records()] == [PROMOTED, EXTERNAL, RETURNED]


def test_a_rollback_to_a_version_that_was_deleted_is_refused(decision_log: DecisionLog, workspace: Workspace) -> None:
    promoted(workspace, 1)
    promoted(workspace, 2)
    decision_log.client.delete_model_version(NAME, "1")
    with pytest.raises(RegistryError, match=f"a version must be registered. Received: {NAME} version 1"):
        rollback(workspace, NAME)
    assert decision_log.champion() == "2"


def test_a_champion_moved_by_hand_while_judging_keeps_its_place(
    decision_log: DecisionLog, workspace: Workspace
) -> None:
    asked = find_challenge(workspace, NAME, 2)
    store_of(workspace).client().set_registered_model_alias(NAME, "champion", "3")
    decision = decide(workspace, asked, evaluated(asked))
    assert decision.record.verdict == WITHDRAWN and not decision.moved
    assert (
        "the champion has changed since this decision: it is version 3 now, by a change outside xray"
        in decision.message
    )
    assert decision_log.champion() == "3"


def versions_of(workspace: Workspace, *digests: str) -> None:
    """Register versions that hold nothing but a digest, after whatever was registered was deleted."""
    client = store_of(workspace).client()
    with suppress(MlflowException):
        client.delete_registered_model(NAME)
    client.create_registered_model(NAME)
    for digest in digests:
        client.create_model_version(NAME, source="s3://nowhere/model", tags={DIGEST_TAG: digest} if digest else {})


@pytest.mark.parametrize("digests", [("one", "two"), ("", "")], ids=["by content", "by time, as records once were"])
def test_a_rollback_to_a_number_that_is_another_models_now_is_refused(
    workspace: Workspace, digests: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xray.promotion.decision_log.CLOCKS_MS", -1)
    versions_of(workspace, *digests)
    promoted(workspace, 1)
    promoted(workspace, 2)
    versions_of(workspace, *(f"{digest}, another" if digest else "" for digest in digests))
    with pytest.raises(
        RegistryError, match="Received: version 2 was deleted, and its number now belongs to another model"
    ):
        carry_back(workspace, find_rollback_target(workspace, NAME))
    assert "champion" not in DecisionLog(workspace, NAME).aliases()


def test_a_rollback_to_the_same_content_registered_again_goes_on(workspace: Workspace) -> None:
    versions_of(workspace, "one", "two")
    promoted(workspace, 1)
    promoted(workspace, 2)
    versions_of(workspace, "one", "two")
    assert carry_back(workspace, find_rollback_target(workspace, NAME)).record.draft.after == "2"


def test_a_hand_that_gives_another_model_the_champions_number_is_recorded(workspace: Workspace) -> None:
    versions_of(workspace, "one")
    promoted(workspace, 1)
    versions_of(workspace, "other")
    store_of(workspace).client().set_registered_model_alias(NAME, "champion", "1")
    decision_log = DecisionLog(workspace, NAME)
    reconcile_log(decision_log)
    reconcile_log(decision_log)
    assert [(each.verdict, each.draft.digest) for each in decision_log.records()] == [
        (PROMOTED, "one"),
        (EXTERNAL, "other"),
    ]
