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
from xray.config import Places
from xray.errors import RegistryError
from xray.evaluation.metrics.paired_comparison import compare
from xray.evaluation.metrics.split_metrics import evaluate
from xray.models.model_files import DIGEST_TAG
from xray.promotion.challenge import Judgement, Unjudged
from xray.promotion.decision_log import EVIDENCE, Book
from xray.promotion.decision_record import EXTERNAL, PROMOTED, REFUSED, RETURNED, WITHDRAWN, Bout
from xray.promotion.outcome import Decision
from xray.promotion.policy import check_all
from xray.promotion.promote import bout, bout_of_return, decide
from xray.promotion.promote import rollback as carry_back
from xray.promotion.protocol import settle_book
from xray.tracking.run_identity import LOOK
from xray.tracking.store import store_of
from xray.tracking.test_set_use import MARK, code_version

DRAWS = config.Evaluation(bootstrap_draws=100)
POLICY = config.Promotion()


@pytest.fixture
def book(places: Places) -> Book:
    with_versions(places)
    return Book(places, NAME)


def scores(noise: float) -> pd.DataFrame:
    """Ninety scans of thirty patients, two in three pneumonia; without noise every one is scored rightly."""
    generator = np.random.default_rng(3)
    place = np.arange(90)
    sick = place % 3 > 0
    ids = [str(number) for number in place]
    p = np.clip(np.where(sick, 0.95, 0.05) + generator.normal(scale=noise, size=90), 0, 1)
    return pd.DataFrame({
        "image_id": ids, "sha256": ids, "patient_id": [str(number // 3) for number in place],
        "label": np.where(sick, "pneumonia", "normal"), "subtype": np.where(sick, "viral", "normal"),
        "split": "test", "p_pneumonia": p,
    })  # fmt: skip


def judged(asked: Bout, challenger: float = 0.0, champion: float = 0.0, scans: str = "a digest") -> Judgement:
    """Judge models that are as noisy as that."""
    table = scores(challenger)
    found = evaluate(table, 0.5, DRAWS)
    theirs = None if asked.champion is None else scores(champion)
    comparison = None if theirs is None else compare(theirs, table, (0.5, 0.5), DRAWS)
    return Judgement(
        asked, "a catalog", scans, found, None if theirs is None else evaluate(theirs, 0.5, DRAWS), comparison,
        POLICY, DRAWS, check_all(found, comparison, POLICY),
    )  # fmt: skip


def promoted(places: Places, version: int) -> None:
    asked = bout(places, NAME, version)
    assert decide(places, asked, judged(asked)).record.verdict == PROMOTED


def rollback(places: Places, name: str, reason: str = "") -> Decision:
    return carry_back(places, bout_of_return(places, name), reason)


def test_the_challenger_is_the_one_that_bears_the_alias_or_is_named(book: Book, places: Places) -> None:
    with pytest.raises(RegistryError, match="must bear the alias `challenger`, or be named"):
        bout(places, NAME)
    book.client.set_registered_model_alias(NAME, "challenger", "2")
    assert bout(places, NAME) == Bout(NAME, "2", None, 1)
    assert bout(places, NAME, 3) == Bout(NAME, "3", None, 1)
    with pytest.raises(RegistryError, match=f"a version must be registered. Received: {NAME} version 9"):
        bout(places, NAME, 9)
    promoted(places, 2)
    with pytest.raises(RegistryError, match=f"must not be champion already. Received: {NAME} version 2"):
        bout(places, NAME, 2)
    with pytest.raises(RegistryError, match="a model must be registered: train one first. Received: nobody"):
        bout(places, "nobody")


def test_a_promotion_moves_the_alias_ends_the_challenge_and_is_recorded_whole(book: Book, places: Places) -> None:
    promoted(places, 1)
    book.client.set_registered_model_alias(NAME, "challenger", "2")
    asked = bout(places, NAME)
    decision = decide(places, asked, judged(asked), reason="a good one", flow_run="a-flow-run")
    assert decision.moved and decision.message.startswith(f"{NAME} version 2 promoted: every rule of the policy holds")
    assert book.aliases() == {"champion": "2"}
    run = book.client.get_run(decision.record.run_id)
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
    tags = book.client.get_model_version(NAME, "2").tags
    assert (tags["promotion.verdict"], tags["promotion.record"]) == (PROMOTED, decision.record.run_id)
    assert tags["promotion.at"].endswith("Z")


def test_who_asked_through_another_process_is_recorded_beside_its_user(book: Book, places: Places) -> None:
    asked = bout(places, NAME, 1)
    decision = decide(places, asked, Unjudged("no scans"), force=True, reason="a test", by="Ada, through Prefect")
    promoted(places, 2)
    own = book.records()[-1].by
    assert decision.record.by == f"Ada, through Prefect ({own})"
    assert f"By Ada, through Prefect ({own})." in decision.markdown()
    returned = carry_back(places, bout_of_return(places, NAME), by="Grace, through Prefect")
    assert returned.record.by == f"Grace, through Prefect ({own})"


def test_each_judgement_is_one_more_look_at_its_scans(book: Book, places: Places) -> None:
    looks = []
    for version, scans in ((1, "these"), (2, "these"), (3, "others")):
        asked = bout(places, NAME, version)
        looks.append(decide(places, asked, judged(asked, scans=scans)).looks)
    assert looks == [1, 2, 1]


def test_whoever_has_looked_at_the_scans_counts(book: Book, places: Places) -> None:
    elsewhere = book.client.create_experiment("another-model-decisions")
    book.client.create_run(elsewhere, tags={"kind": "promote", "scans": "these"})
    evaluated = {f"{MARK}these": "yes", f"{LOOK}these.an-evaluation": json.dumps({"at_ms": 1, "code": "abc"})}
    book.client.create_run(book.client.create_experiment("trainings"), tags=evaluated)
    asked = bout(places, NAME, 1)
    decision = decide(places, asked, judged(asked, scans="these"))
    assert decision.looks == 3
    assert "look 3 at them" in decision.scans()
    assert book.client.get_run(decision.record.run_id).data.tags["git_commit"] == code_version()


def test_a_challenger_below_a_floor_is_refused_with_the_reason(book: Book, places: Places) -> None:
    book.client.set_registered_model_alias(NAME, "challenger", "2")
    asked = bout(places, NAME)
    decision = decide(places, asked, judged(asked, challenger=3.0))
    assert not decision.moved and decision.record.verdict == REFUSED
    assert "sensitivity must be at least 0.9. Received: 0." in decision.message
    assert book.aliases() == {"challenger": "2"}, "it may be judged again"
    assert book.client.get_model_version(NAME, "2").tags["promotion.verdict"] == REFUSED
    assert "| sensitivity must be at least 0.9 | 0." in decision.markdown()
    assert "look 1 at them" in decision.markdown()


def test_a_challenger_that_loses_against_the_champion_is_refused(book: Book, places: Places) -> None:
    promoted(places, 1)
    asked = bout(places, NAME, 2)
    decision = decide(places, asked, judged(asked, challenger=0.4))
    assert decision.record.verdict == REFUSED
    assert "against the champion must be below 0.1 at 95 %. Received: -0." in decision.message
    assert book.champion() == "1"


def test_force_needs_a_reason_and_is_recorded_with_what_failed(book: Book, places: Places) -> None:
    asked = bout(places, NAME, 2)
    with pytest.raises(RegistryError, match="a forced promotion must say why"):
        decide(places, asked, judged(asked), force=True, reason=" ")
    decision = decide(places, asked, judged(asked, challenger=3.0), force=True, reason="the other one is broken")
    assert decision.moved and decision.record.draft.forced
    assert decision.record.draft.reason.startswith("the other one is broken (forced; sensitivity must be at least")
    assert decision.record.metrics["looks"] == 1


def test_what_cannot_be_judged_is_promoted_by_force_alone_and_says_why(book: Book, places: Places) -> None:
    asked = bout(places, NAME, 2)
    with pytest.raises(RegistryError, match="must be judged, or forced. Received: the scans are gone"):
        decide(places, asked, Unjudged("the scans are gone"))
    decision = decide(places, asked, Unjudged("the scans are gone"), force=True, reason="needed today")
    assert decision.moved and decision.rows() == [] and decision.scans() == "nothing was judged"
    assert decision.record.draft.reason == "needed today (forced; not judged: the scans are gone)"
    assert book.champion() == "2"


def test_two_rollbacks_go_two_back_and_a_third_is_refused(book: Book, places: Places) -> None:
    for version in (1, 2, 3):
        promoted(places, version)
    first = rollback(places, NAME, "too many false alarms")
    assert first.message == f"{NAME} version 2 returned: too many false alarms"
    assert book.client.get_model_version(NAME, "3").tags["promotion.verdict"] == "rolled back"
    assert (rollback(places, NAME).record.verdict, book.champion()) == (RETURNED, "1")
    with pytest.raises(RegistryError, match="a champion before this one. Received: version 1 is the first$"):
        rollback(places, NAME)
    assert [record.verdict for record in book.records()] == [PROMOTED] * 3 + [RETURNED] * 2


def test_what_a_failing_store_made_us_try_again_moves_once(book: Book, places: Places) -> None:
    promoted(places, 1)
    asked = bout(places, NAME, 2)
    first, again = (decide(places, asked, judged(asked)) for _ in range(2))
    assert again.record == first.record and again.moved
    back = bout_of_return(places, NAME)
    assert carry_back(places, back).record == carry_back(places, back).record
    assert [record.verdict for record in book.records()] == [PROMOTED, PROMOTED, RETURNED]
    assert book.champion() == "1"


def test_a_rollback_without_any_champion_is_refused(book: Book, places: Places) -> None:
    with pytest.raises(RegistryError, match="Received: there is no champion$"):
        rollback(places, NAME)


def test_a_rollback_goes_behind_a_move_by_hand(book: Book, places: Places) -> None:
    promoted(places, 1)
    book.client.set_registered_model_alias(NAME, "champion", "3")
    assert rollback(places, NAME).moved
    assert book.champion() == "1"
    assert [record.verdict for record in book.records()] == [PROMOTED, EXTERNAL, RETURNED]


def test_a_rollback_to_a_version_that_was_deleted_is_refused(book: Book, places: Places) -> None:
    promoted(places, 1)
    promoted(places, 2)
    book.client.delete_model_version(NAME, "1")
    with pytest.raises(RegistryError, match=f"a version must be registered. Received: {NAME} version 1"):
        rollback(places, NAME)
    assert book.champion() == "2"


def test_a_champion_moved_by_hand_while_judging_keeps_its_place(book: Book, places: Places) -> None:
    asked = bout(places, NAME, 2)
    store_of(places).client().set_registered_model_alias(NAME, "champion", "3")
    decision = decide(places, asked, judged(asked))
    assert decision.record.verdict == WITHDRAWN and not decision.moved
    assert "the champion has changed since this was decided: it is version 3 now, by a move by hand" in decision.message
    assert book.champion() == "3"


def versions_of(places: Places, *digests: str) -> None:
    """Register versions that hold nothing but a digest, after whatever was registered was deleted."""
    client = store_of(places).client()
    with suppress(MlflowException):
        client.delete_registered_model(NAME)
    client.create_registered_model(NAME)
    for digest in digests:
        client.create_model_version(NAME, source="s3://nowhere/model", tags={DIGEST_TAG: digest} if digest else {})


@pytest.mark.parametrize("digests", [("one", "two"), ("", "")], ids=["by content", "by time, as records once were"])
def test_a_rollback_to_a_number_that_is_another_models_now_is_refused(
    places: Places, digests: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xray.promotion.decision_log.CLOCKS_MS", -1)
    versions_of(places, *digests)
    promoted(places, 1)
    promoted(places, 2)
    versions_of(places, *(f"{digest}, another" if digest else "" for digest in digests))
    with pytest.raises(RegistryError, match="Received: version 2 was deleted, and its number is another model's now"):
        carry_back(places, bout_of_return(places, NAME))
    assert "champion" not in Book(places, NAME).aliases()


def test_a_rollback_to_the_same_content_registered_again_goes_on(places: Places) -> None:
    versions_of(places, "one", "two")
    promoted(places, 1)
    promoted(places, 2)
    versions_of(places, "one", "two")
    assert carry_back(places, bout_of_return(places, NAME)).record.draft.after == "2"


def test_a_hand_that_gives_another_model_the_champions_number_is_recorded(places: Places) -> None:
    versions_of(places, "one")
    promoted(places, 1)
    versions_of(places, "other")
    store_of(places).client().set_registered_model_alias(NAME, "champion", "1")
    book = Book(places, NAME)
    settle_book(book)
    settle_book(book)
    assert [(each.verdict, each.draft.digest) for each in book.records()] == [(PROMOTED, "one"), (EXTERNAL, "other")]
