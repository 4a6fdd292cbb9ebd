"""What a command refuses at once, where that takes more than its options."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from flows.preflight import checked_request, require_cluster, require_writable
from xray.errors import TrainingError, XrayError

BACKBONE = ["model.architecture=backbone", "model.backbone=mobilenet_v2"]


def test_weights_that_cannot_be_had_are_missed_before_a_scan_is_decoded(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    home, brought = tmp_path / "home", tmp_path / "keras" / "models" / "mobilenet_v2"
    imagenet = [*BACKBONE, "model.weights=imagenet"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nothing listens there
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(TrainingError, match=f"needs {brought.name}_weights_.*_no_top.h5: copy it to") as refused:
            checked_request(phantoms, "quick", imagenet, home, trains=True)
    assert str(brought.parent) in str(refused.value)
    with pytest.raises(TrainingError, match="model.weights must be readable. Received: "):
        checked_request(phantoms, "quick", [*BACKBONE, f"model.weights={tmp_path / 'none.h5'}"], home, trains=True)
    assert list(home.iterdir()) == []
    assert checked_request(phantoms, "quick", imagenet, home, trains=False).config.model.weights == "imagenet"


@pytest.mark.parametrize("protocol", ["", "tcp://", "tls://"])
def test_a_scheduler_that_answers_is_taken_and_one_that_left_is_not(protocol: str) -> None:
    with socket.socket() as scheduler:
        scheduler.bind(("127.0.0.1", 0))
        scheduler.listen()
        address = f"{protocol}127.0.0.1:{scheduler.getsockname()[1]}"
        require_cluster(address)
    with pytest.raises(XrayError, match=f"--dask must name .* Received: {address} \\(Connection refused\\)$"):
        require_cluster(address)


@pytest.mark.parametrize("dask", [None, "local"])
def test_no_cluster_and_one_of_this_machine_need_no_scheduler(dask: str | None) -> None:
    require_cluster(dask)


def test_a_home_whose_disk_is_full_is_refused_and_left_as_it_was(
    tmp_path: Path, disk_with_room_for: Callable[[int], AbstractContextManager[None]]
) -> None:
    (tmp_path / "kept").write_text("kept")
    with disk_with_room_for(500), pytest.raises(XrayError, match="--home must be a writable folder"):
        require_writable(tmp_path)
    require_writable(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
