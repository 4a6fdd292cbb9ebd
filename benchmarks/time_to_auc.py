"""How long does training take to tell pneumonia from normal? Ours: the recipe default; rival: the recipe article.

Counted is the time from the start of a training to the end of the first epoch after which the validation scans, the
same for both, give an AUC of 0.99: reading the pixels, epochs, Keras's validation and checkpoints, as in use, but not
the scoring that finds that AUC. Both go through our trainer, each in a process of its own. It takes real scans, for
phantoms are too easy; size tiny takes phantoms and shows that it runs.

Run `python benchmarks/time_to_auc.py --data FOLDER`.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import side_by_side
from side_by_side import Options, Row, answer

PROJECT = Path(__file__).parent.parent
WANTED = 0.99
SIDES = {"ours": "default", "rival": "article"}


@dataclass(frozen=True)
class Reached:
    """How far a training got.

    Attributes:
        seconds: From its start to the end of its last epoch, without the scoring.
        aucs: Of the validation scans after each epoch, 0 to 1; none but the last one can be `WANTED` or more.
    """

    seconds: float
    aucs: list[float]

    @property
    def there(self) -> bool:
        """Whether the AUC was reached."""
        return self.aucs[-1] >= WANTED

    def words(self, recipe: str) -> str:
        """Say which epoch reached it, or that none did."""
        if self.there:
            return f"{recipe}: epoch {len(self.aucs)} ({self.aucs[-1]:.4f})"
        return f"{recipe}: NOT REACHED in {len(self.aucs)} epochs (at best {max(self.aucs):.4f})"


def main() -> None:
    """Measure and print; with `--side`, be the process of one training."""
    arguments = side_by_side.parser(__doc__)
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change both recipes")
    arguments.add_argument("--side", choices=SIDES, help="train this side's recipe, and print how far it got")
    arguments.add_argument("--places", nargs=2, type=Path, metavar=("SCANS", "HOME"), help="where the side trains")
    chosen = arguments.parse_args()
    if chosen.side:
        print(json.dumps(asdict(_trained(SIDES[chosen.side], *chosen.places, chosen.set))))
        return
    if side_by_side.data_folder(chosen.data) is None and chosen.size != "tiny":
        arguments.error("--data must name a folder of real scans, or --size must be tiny")
    side_by_side.run(lambda options: measure(options, chosen.set), chosen)


def measure(options: Options, settings: list[str]) -> list[Row]:
    """Train both recipes until they get there, with another seed in each round."""
    if options.size == "tiny":
        settings = [*settings, "images.height=32", "images.width=32", "training.epochs=2", "training.batch_size=16"]
    scans = options.phantoms(80, (64, 64)) if options.data is None or options.size == "tiny" else options.data
    found: dict[str, list[Reached]] = {side: [] for side in SIDES}
    for seed in range(options.pick(1, 1, 3)):
        for side in SIDES:
            found[side].append(_in_a_child(side, scans, options.work, [*settings, f"training.seed={seed}"]))
    seconds = [[reached.seconds for reached in found[side]] for side in SIDES]
    remark = "; ".join(reached.words(SIDES[side]) for side in SIDES for reached in found[side])
    row = answer(f"time to validation AUC {WANTED}", *seconds, "3 x", remark)
    there = all(reached.there for side in SIDES for reached in found[side])
    return [row if there else replace(row, spread="no ratio: not reached")]


def _in_a_child(side: str, scans: Path, work: Path, settings: list[str]) -> Reached:
    from flows.servers.environment import memory_settings, quiet_settings

    home = work / "time-to-auc"
    command = [sys.executable, __file__, "--side", side, "--places", str(scans), str(home)]
    command += [part for setting in settings for part in ("--set", setting)]
    environment = os.environ | quiet_settings(home) | memory_settings()
    # What goes wrong after many minutes is shown, with all that TensorFlow has to say.
    done = subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Reached(**json.loads(done.stdout.splitlines()[-1]))


def _trained(recipe: str, scans: Path, home: Path, settings: list[str]) -> Reached:
    """Prepare the scans, which is not counted, and train until the AUC is reached or the epochs are over."""
    from xray.config import Workspace, load_config
    from xray.data.prepare import clean, normalize, write_prepared
    from xray.training.fit import train
    from xray.training.history import StoppedTraining

    config, workspace = load_config(recipe, settings), Workspace(home=home)
    cleaned = clean(scans, workspace)
    store = normalize(cleaned, config, workspace).store
    catalog = write_prepared(cleaned, store, config, workspace)
    with TemporaryDirectory(dir=home) as scratch:
        watch = _Watch(Path(scratch), catalog, store, config)
        with suppress(StoppedTraining):
            train(catalog, store, config, Path(scratch), on_epoch=[watch])
    return Reached(watch.seconds, watch.aucs)


class _Watch:
    """Scores the validation scans after each epoch, while the clock stands still."""

    def __init__(self, folder: Path, catalog: Any, store: Any, config: Any) -> None:
        from xray.training.export import arithmetic
        from xray.training.networks.architectures import build

        rows = catalog.rows("validation")
        self.folder = folder
        self.pneumonia = (rows["label"] == "pneumonia").to_numpy()
        self.pixels = store.read(rows["sha256"].tolist())
        self.scheme = config.labels.told_apart
        with arithmetic("float32"):  # as it is exported
            self.network = build(config.model, config.images, config.training.seed, self.scheme)
        self.aucs: list[float] = []
        self.seconds = 0.0
        self.since = time.perf_counter()

    def __call__(self, history: Any) -> None:
        """Stop the clock, score, and end the training where the AUC is reached."""
        from xray.training.history import StoppedTraining

        self.seconds += time.perf_counter() - self.since
        self.aucs.append(self._auc())
        if self.aucs[-1] >= WANTED:
            raise StoppedTraining
        self.since = time.perf_counter()

    def _auc(self) -> float:
        import keras
        from sklearn.metrics import roc_auc_score

        from xray.labels import p_finding
        from xray.training.checkpoint import newest_checkpoint
        from xray.training.predict import predict

        trained = keras.models.load_model(newest_checkpoint(self.folder).state, compile=False)
        self.network.set_weights(trained.get_weights())
        scores = p_finding(predict(self.network, self.pixels), self.scheme.classes)
        return float(roc_auc_score(self.pneumonia, scores))


if __name__ == "__main__":
    main()
