"""The training slot: one training at a time, in all flows."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

TRAINING = "training"
"""The global concurrency limit, which `xray up` makes. A deployment's own would end a training that cannot renew it."""

LEASE_SECONDS = 120.0
"""How long a training that died still keeps its turn. A living one renews it when three quarters are over."""

log = logging.getLogger("xray.turns")  # below `xray`, whose lines the screen and Prefect's UI show


@contextmanager
def training_turn() -> Iterator[None]:
    """Wait until no other training holds the turn, and hold it for as long as the block lasts.

    Where the server has no limit of that name nobody waits, nor under the temporary server of `xray run`, which would
    not take the turn back from a training that died. A server that goes away costs the turn and not the training.
    """
    limit = _limit()
    if limit is None:
        yield
        return
    if limit.active and limit.active_slots >= limit.limit:
        log.info("Another training is running; this one starts when it has ended")
    with concurrency(TRAINING, occupy=1, lease_duration=LEASE_SECONDS, raise_on_lease_renewal_failure=False):
        yield


def _limit() -> GlobalConcurrencyLimitResponse | None:
    if get_current_settings().api.url is None:
        return None
    with get_client(sync_client=True) as client:
        try:
            return client.read_global_concurrency_limit_by_name(TRAINING)
        except ObjectNotFound:
            return None
