"""Sources against sources: a model on a source that it has not seen."""

import numpy as np
import pandas as pd

from xray.config import Evaluation
from xray.evaluation.cross_validation.held_out_sources import TOO_FEW, is_by_source, source_table

EVALUATION = Evaluation(bootstrap_draws=200)


def scores(split: str, source: str, apart: float, scans: int = 40) -> pd.DataFrame:
    """Make scores of a source whose two labels lie so far apart: 0 mixes them, 1 tells all of them apart."""
    label = np.resize(["normal", "pneumonia"], scans)
    p = np.where(label == "pneumonia", 0.5 + apart / 2, 0.5 - apart / 2) + np.linspace(-0.1, 0.1, scans) * (1 - apart)
    names = [f"{source}-{split}-{number}" for number in range(scans)]
    return pd.DataFrame({
        "image_id": names, "patient_id": names, "label": label, "subtype": label,
        "source": source, "split": split, "p_pneumonia": p,
    })  # fmt: skip


def out_of_fold(*sources: str) -> pd.DataFrame:
    parts = [scores("validation", source, 1.0).assign(fold=fold, seed=0) for fold, source in enumerate(sources)]
    return pd.concat(parts, ignore_index=True).assign(nested_threshold=0.5)


def test_folds_are_sources_only_where_each_is_one() -> None:
    assert is_by_source(out_of_fold("a", "b"))
    assert not is_by_source(out_of_fold("a", "a"))
    assert not is_by_source(out_of_fold("a"))
    assert not is_by_source(out_of_fold("a", "b").assign(fold=[0, 1] * 40))


def test_a_row_says_what_a_model_is_worth_where_it_has_not_been_and_where_it_has() -> None:
    of_a = pd.concat([scores("validation", "a", 1.0), scores("test", "b", 0.0), scores("test", "a", 0.0)])
    of_b = pd.concat([scores("validation", "b", 1.0), scores("test", "a", 1.0, scans=6)])
    table = source_table({0: of_a, 1: of_b}, out_of_fold("a", "b"), EVALUATION)
    assert table.columns == ("held out", "scans", "sensitivity", "specificity", "auc on a", "auc on b")
    first, second = table.rows
    assert first[:5] == ("a", "40", "1.000 (1.000 to 1.000)", "1.000 (1.000 to 1.000)", "1.000 (1.000 to 1.000)")
    assert 0.3 < float(first[5].split()[0]) < 0.7, "of b, which it has learned from, the TEST scans"
    assert second[4] == TOO_FEW
    assert second[5].startswith("1.000")
