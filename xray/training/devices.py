"""The devices of a training, and the precision that is fastest on them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

log = logging.getLogger(__name__)

BFLOAT16_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Without one of these a processor emulates bfloat16, slower than float32."""
BFLOAT16_GPU_CAPABILITY = (8, 0)
"""NVIDIA's Ampere, the first with bfloat16 tensor cores."""


def choose_precision(precision: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Settle `auto`: mixed_bfloat16 where every device gains from it, else float32.

    Args:
        precision: `auto`, `float32` or `mixed_bfloat16`; the last two come back as they are.
        cpuinfo: Where Linux lists the processor's flags; asked where there is no GPU.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        gains = all(detail.get("compute_capability", (0, 0)) >= BFLOAT16_GPU_CAPABILITY for detail in details)
    else:
        gains = bool(BFLOAT16_CPU_FLAGS & _cpu_flags(cpuinfo))
    return "mixed_bfloat16" if gains else "float32"


def choose_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Spread a training over several devices, or leave it on one; say so when a GPU is there and not used.

    Args:
        devices: TensorFlow's device names, such as `CPU:1`; all GPUs if none are named.
    """
    if devices is None:
        devices = [gpu.name.removeprefix("/physical_device:") for gpu in tf.config.list_physical_devices("GPU")]
        if not devices and any(Path("/dev").glob("nvidia[0-9]*")):
            log.warning("TensorFlow cannot use this machine's GPU; LOCK=gpu make setup installs the CUDA libraries")
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy(list(devices))
    return tf.distribute.get_strategy()


def _cpu_flags(cpuinfo: Path) -> set[str]:
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:  # Not Linux: nothing known, so nothing gained.
        return set()
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())
