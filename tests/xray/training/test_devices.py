"""bfloat16 only where it gains, and several devices that train as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from tests.xray.conftest import TINY, Learned
from xray.training.devices import choose_precision, choose_strategy

PROJECT = Path(__file__).parents[3]

TRAIN = """
import json, sys
from pathlib import Path
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)

from xray.config import load_config
from xray.data.catalog import Catalog
from xray.data.store.pixel_store import PixelStore
from xray.errors import TrainingError
from xray.training.devices import choose_strategy
from xray.training.fit import train


class Few(Catalog):
    def rows(self, *splits):
        rows = Catalog.rows(self, *splits)
        return rows[(rows["split"] != "validation") | ~rows.duplicated(["split", "label"])]


catalog, store, folder, *settings = sys.argv[1:]
few = Few(Path(catalog), "", Path(), True)
config = load_config("quick", settings)
catalog, store = Catalog(Path(catalog), "", Path(), True), PixelStore.open(Path(store))
found = {"one": train(catalog, store, config, Path(folder, "one")).history().to_json()}
strategy = choose_strategy(["CPU:0", "CPU:1"])
with strategy.scope():
    found["two"] = train(catalog, store, config, Path(folder, "two")).history().to_json()
    try:
        train(catalog, store, load_config("quick", [*settings, "training.batch_size=63"]), Path(folder, "odd"))
    except TrainingError as error:
        found["refused"] = str(error)
with choose_strategy(["CPU:0", "CPU:1", "CPU:2"]).scope():
    try:
        train(few, store, load_config("quick", [*settings, "training.batch_size=63"]), Path(folder, "few"))
    except TrainingError as error:
        found["few"] = str(error)
print(json.dumps({**found, "replicas": strategy.num_replicas_in_sync}))
"""


class TestPrecision:
    @pytest.mark.parametrize(
        ("flags", "precision"),
        [
            ("fpu sse4_2 avx2 avx512f avx512_bf16", "mixed_bfloat16"),
            ("fpu avx512f amx_bf16 amx_tile", "mixed_bfloat16"),
            ("fpu sse4_2 avx2 avx512f", "float32"),
            ("fpu my_avx512_bf16_not", "float32"),
        ],
    )
    def test_auto_takes_bfloat16_where_the_processor_has_it(self, tmp_path: Path, flags: str, precision: str) -> None:
        cpuinfo = tmp_path / "cpuinfo"
        processor = f"processor\t: 0\nmodel name\t: a processor\nflags\t\t: {flags}\nvmx flags\t: avx512_bf16\n\n"
        cpuinfo.write_text(2 * processor, encoding="utf-8")
        assert choose_precision("auto", cpuinfo) == precision

    def test_auto_takes_float32_where_nothing_is_known(self, tmp_path: Path) -> None:
        assert choose_precision("auto", tmp_path / "absent") == "float32"
        (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n", encoding="utf-8")
        assert choose_precision("auto", tmp_path / "cpuinfo") == "float32"

    def test_auto_knows_this_machine(self) -> None:
        assert choose_precision("auto") in ("float32", "mixed_bfloat16")

    @pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
    def test_what_was_asked_for_comes_back(self, tmp_path: Path, precision: str) -> None:
        assert choose_precision(precision, tmp_path / "absent") == precision


class TestStrategy:
    def test_one_device_or_none_named_is_left_alone(self) -> None:
        for devices in (None, [], ["CPU:0"]):
            assert not isinstance(choose_strategy(devices), tf.distribute.MirroredStrategy)

    @pytest.mark.system
    @pytest.mark.timeout(900)
    def test_two_devices_train_together_and_end_as_one_does(self, prepared: Learned, tmp_path: Path) -> None:
        # In a child, since logical devices are set before TensorFlow starts.
        # Validation is less than a batch and odd, and the last batch of training is odd.
        settings = [*TINY, "training.epochs=3", "training.batch_size=64", "training.precision=float32"]
        assert len(prepared.catalog.rows("validation")) % 2 == len(prepared.catalog.rows("train")) % 64 % 2 == 1
        assert len(prepared.catalog.rows("validation")) < 64
        places = [str(prepared.catalog.folder), str(prepared.store.folder), str(tmp_path)]
        # oneDNN's fused convolution fails on the second of two processors made of one that has AVX-512; GPUs have none.
        environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"}
        child = subprocess.run(
            [sys.executable, "-c", TRAIN, *places, *settings],
            cwd=PROJECT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert child.returncode == 0, child.stderr
        found = json.loads(child.stdout.splitlines()[-1])
        assert found["replicas"] == 2
        assert found["refused"] == "training.batch_size must be a multiple of the 2 devices. Received: 63"
        assert found["few"] == "validation needs a scan for each of the 3 devices. Received: 2"
        one, two = found["one"]["epochs"], found["two"]["epochs"]
        assert [epoch["epoch"] for epoch in two] == [1, 2, 3]
        for name in ("loss", "val_loss"):
            assert [epoch[name] for epoch in two] == pytest.approx([epoch[name] for epoch in one], rel=0.02)
