"""What was decided about a model: one MLflow run a decision, in an experiment of its own, read and written here alone.

A record is opened with everything that it will stand for, and closed with its verdict. The verdict is a param, which
MLflow writes once and never changes, so that two commands that close one record cannot say two things.
"""

import getpass
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException

from xray.models.model_files import DIGEST_TAG
from xray.models.registered_model import CHALLENGER, CHAMPION, RegisteredModel
from xray.promotion.decision_record import Decision, PlannedDecision, decision_of
from xray.tracking.owning_process import Owner
from xray.tracking.store import reached
from xray.tracking.test_set_use import CODE_TAG, code_version
from xray.tracking.ui_views import DECISIONS

EVIDENCE = "decision.json"
CLOCKS_MS = 60_000
"""By how much the clocks of two machines may differ."""

MOST_WORDS = 5_000
"""Characters of a reason that a tag holds on every store."""


class DecisionLog(RegisteredModel):
    """The decisions about one registered model, and its aliases.

    Args:
        workspace: Where MLflow's store lies.
        model_name: The registered model.
    """

    @property
    def experiment(self) -> str:
        """The experiment that the records lie in."""
        return f"{self.model_name}{DECISIONS}"

    def is_same(self, record: Decision) -> bool:
        """Say whether the version that a record names is still the model that it was about.

        A record without a digest is older than digests: a version that was registered after it is another model.
        """
        version = self.version(str(record.draft.after))
        digest = version.tags.get(DIGEST_TAG)
        if digest and record.draft.digest:
            return bool(digest == record.draft.digest)
        return int(version.creation_timestamp) <= record.at_ms + CLOCKS_MS

    def records(self) -> list[Decision]:
        """Read every record, the oldest first; those that moved the champion in the order of their moves.

        Raises:
            RegistryError: The store cannot be reached.
        """
        with reached(self.store):
            experiment = self.client.get_experiment_by_name(self.experiment)
            if experiment is None:
                return []
            runs: list[Run] = []
            token: str | None = None
            while True:
                page = self.client.search_runs([experiment.experiment_id], max_results=1000, page_token=token)
                runs += page
                token = page.token
                if not token:
                    break
        return sorted((decision_of(run) for run in runs), key=lambda record: (record.draft.number, record.order))

    def reread(self, record: Decision) -> Decision:
        """Read a record again."""
        with reached(self.store):
            return decision_of(self.client.get_run(record.run_id))

    def open(self, draft: PlannedDecision) -> Decision:
        """Write a record that has no verdict yet, in one write: it is there with all that it stands for, or not."""
        by, owner = f"{draft.by} ({_who()})" if draft.by else _who(), Owner.this()
        facts = asdict(draft) | {"policy": json.dumps(dict(draft.policy)), "forced": json.dumps(draft.forced)}
        facts |= {"from": facts.pop("before"), "to": facts.pop("after"), "reason": draft.reason[:MOST_WORDS]}
        facts |= {"prefect_flow_run": facts.pop("flow_run"), "by": by, "mlflow.user": by, **asdict(owner)}
        facts |= {DIGEST_TAG: facts.pop("digest") or self.digest(draft.after)}
        facts |= {CODE_TAG: code_version()} if draft.scans else {}
        tags = {name: str(value) for name, value in facts.items() if value not in (None, "")}
        experiment = self.store.experiment(self.client, self.experiment)
        name = f"{draft.kind} {draft.after or 'none'}"
        with reached(self.store):
            at = int(time.time() * 1000)
            return decision_of(self.client.create_run(experiment, start_time=at, tags=tags, run_name=name))

    def describe(self, record: Decision, metrics: Mapping[str, float], evidence: Mapping[str, Any]) -> None:
        """Put figures and evidence into a record; each model's own intervals are in the evidence alone."""
        now = int(time.time() * 1000)
        with reached(self.store):
            shown = {name: value for name, value in metrics.items() if not _is_end_of_one(name)}
            self.client.log_batch(record.run_id, [Metric(name, value, now, 0) for name, value in shown.items()])
            self.client.log_dict(record.run_id, dict(evidence), EVIDENCE)

    def move(self, version: str) -> None:
        """Point the alias `champion` at a version: the one write that makes a champion."""
        with reached(self.store):
            self.client.set_registered_model_alias(self.model_name, CHAMPION, version)

    def mark(self, version: str, verdict: str, record: Decision) -> None:
        """Say beside a version in the registry what was decided about it last."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.at_ms / 1000))
        marks = {"promotion.verdict": verdict, "promotion.at": at, "promotion.record": record.run_id}
        with reached(self.store):
            for name, value in marks.items():
                self.client.set_model_version_tag(self.model_name, version, name, value)

    def end_challenge(self, version: str) -> None:
        """Remove the alias `challenger` from a version, if it has it: a champion is not a challenger."""
        if self.aliases().get(CHALLENGER) == version:
            with reached(self.store):
                self.client.delete_registered_model_alias(self.model_name, CHALLENGER)

    def close(self, record: Decision, verdict: str, outcome: str = "") -> Decision:
        """Give a record its verdict, once: if another command was first, its verdict stays."""
        with reached(self.store):
            try:
                self.client.log_param(record.run_id, "verdict", verdict)
                if outcome:
                    self.client.set_tag(record.run_id, "outcome", outcome[:MOST_WORDS])
            except MlflowException:
                verdict = self.reread(record).verdict or ""
                if not verdict:
                    raise
            self.client.set_tag(record.run_id, "verdict", verdict)
            self.client.set_terminated(record.run_id)
        return self.reread(record)

    def drop(self, record: Decision) -> None:
        """Take back a record that another command wrote too."""
        with reached(self.store):
            self.client.delete_run(record.run_id)


def _is_end_of_one(name: str) -> bool:
    return name.startswith(("challenger.", "champion.")) and name.endswith(("_low", "_high"))


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
