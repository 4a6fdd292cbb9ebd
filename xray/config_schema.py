"""What can be set: the sections of the configuration, with each value's bounds and what it does."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

LONGEST_NAME = 200
"""Bytes of UTF-8: a folder's name may have 255, and ours is the name with a suffix."""


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    added_later: ClassVar[frozenset[str]] = frozenset()
    """Settings that came later: at their default, what was made before them keeps its name."""

    def digest_values(self) -> dict[str, Any]:
        """Give the values that a digest is made of: all, but later ones at their default."""
        defaults = {name: type(self).model_fields[name].default for name in self.added_later}
        values = self.model_dump()
        return {
            name: value for name, value in values.items() if name not in self.added_later or value != defaults[name]
        }


class About(Section):
    """What a recipe says of itself."""

    source: str = Field("Not said.", min_length=1, description="Where the recipe comes from.")
    expect: str = Field("Not said.", min_length=1, description="What to expect of it: score, hours, machine.")


class Images(Section):
    """What every scan is made into before it is stored."""

    height: int = Field(300, ge=32, le=2048, description="Rows of a normalized scan, in pixels.")
    width: int = Field(300, ge=32, le=2048, description="Columns of a normalized scan, in pixels.")
    fit: Literal["stretch", "pad"] = Field(
        "stretch", description="Stretch to the size, as the article did, or keep the aspect ratio and pad with black."
    )


class Split(Section):
    """How the official TRAIN scans are cut into folds."""

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the folds.")
    folds: int = Field(5, ge=2, le=20, description="Number of folds over the TRAIN scans.")
    validation_fold: int = Field(0, ge=0, description="The fold that is validation; the others train.")
    group_by: Literal["patient", "none"] = Field(
        "patient", description="Keep a patient's scans on one side, or split at random as the article did."
    )
    drop_shared_patients: bool = Field(False, description="Leave patients who also have TEST scans out of training.")


class Model(Section):
    """The network."""

    added_later = frozenset({"backbone", "weights", "standardize", "views"})

    architecture: Literal["article", "quick", "residual", "backbone"] = Field(
        "article", description="A name in xray.training.networks.architectures, or a backbone."
    )
    backbone: Literal[
        "none", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_v2_b0", "densenet121", "resnet50_v2"
    ] = Field("none", description="A network of keras.applications, below one layer of ours.")
    weights: str = Field(
        "none",
        min_length=1,
        description="What a backbone starts from: none (the seed), imagenet, or a file of weights.",
    )
    standardize: bool = Field(
        False, description="Give every scan the same mean and contrast, inside the network, before anything else."
    )
    views: Literal[1, 5] = Field(
        1,
        description="Once trained, answer to the scan alone, or average over it and four mirrored views of it.",
    )

    @field_validator("backbone")
    @classmethod
    def _with_its_architecture(cls, backbone: str, info: ValidationInfo) -> str:
        architecture = info.data.get("architecture", "backbone")
        if architecture == "backbone" and backbone == "none":
            raise PydanticCustomError("backbone", "must name a network where model.architecture is backbone")
        if architecture != "backbone" and backbone != "none":
            raise PydanticCustomError("backbone", "needs model.architecture=backbone")
        return backbone

    @field_validator("weights")
    @classmethod
    def _absolute(cls, weights: str, info: ValidationInfo) -> str:
        """Name a file in one way only, from wherever it is read."""
        if weights == "none":
            return weights
        if info.data.get("architecture", "backbone") != "backbone":
            raise PydanticCustomError("weights", "needs model.architecture=backbone")
        if weights == "imagenet":
            return weights
        try:
            return str(Path(weights).expanduser().resolve())
        except RuntimeError as error:  # ~somebody, who has no home
            raise PydanticCustomError("weights", "must be none, imagenet or a file") from error

    @field_validator("standardize")
    @classmethod
    def _not_for_a_backbone(cls, standardize: bool, info: ValidationInfo) -> bool:
        if standardize and info.data.get("architecture") == "backbone":
            raise PydanticCustomError("standardize", "must be false for a backbone, which sees scans as it was trained")
        return standardize

    @property
    def network(self) -> str:
        """The network's name: the backbone's, where there is one."""
        return self.architecture if self.backbone == "none" else self.backbone


class Labels(Section):
    """What the network tells apart."""

    scheme: Literal["binary", "cause", "covid"] = Field(
        "binary", description="Pneumonia or normal; or normal, bacterial, viral; or these and COVID-19."
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="Count every scan alike in the loss, or every class."
    )


class Augmentation(Section):
    """Random changes of each training scan, drawn anew each epoch. Zero or false switches one off."""

    added_later = frozenset({"aspect", "shift", "gamma", "contrast", "brightness", "erase", "sharpness", "noise"})

    zoom: float = Field(0.0, ge=0, le=0.9, description="Zoom by up to this share of the size, in or out.")
    rotation: float = Field(0.0, ge=0, le=0.5, description="Rotate by up to this share of a full turn, either way.")
    flip: bool = Field(False, description="Mirror left and right with probability one half.")
    aspect: float = Field(
        0.0, ge=0, le=1, description="Change width over height by up to this much of its natural logarithm, either way."
    )
    shift: float = Field(0.0, ge=0, le=0.5, description="Move by up to this share of the size, either way.")
    gamma: float = Field(0.0, ge=0, le=2, description="Raise gray to a power of up to e to this, or one over that.")
    contrast: float = Field(0.0, ge=0, le=2, description="Stretch gray about its mean by up to e to this, or shrink.")
    brightness: float = Field(0.0, ge=0, le=1, description="Add up to this share of white, or take it away.")
    erase: float = Field(0.0, ge=0, le=1, description="Cover a box of up to this share of either side with one gray.")
    sharpness: float = Field(0.0, ge=0, le=1, description="Sharpen or blur; 1 blurs over five pixels at most.")
    noise: float = Field(0.0, ge=0, le=0.5, description="Add normal noise of up to this share of white.")


class Training(Section):
    """How the network is fitted."""

    added_later = frozenset({"weight_decay", "schedule", "label_smoothing", "keep"})

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of weights, order and augmentation.")
    seeds: int = Field(1, ge=1, le=20, description="Train so many networks, with `seed` and the seeds after it.")
    epochs: int = Field(60, ge=1, le=10_000, description="Most epochs to train.")
    batch_size: int = Field(32, ge=1, le=4096, description="Scans a step.")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="Adam's step size.")
    patience: int = Field(
        5, ge=0, description="Stop after this many epochs without a lower validation loss; 0 never stops."
    )
    keep: Literal["best", "last"] = Field(
        "best", description="Keep the weights of the epoch with the lowest validation loss, or of the last epoch."
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="AdamW's decay of the weights a step, times its step size."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="Keep the step size, or let it rise over an epoch and fall to nothing as a cosine."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each target that all classes divide.")
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto", description="Arithmetic of a training step; auto takes bfloat16 where the hardware gains from it."
    )
    memory_budget_mb: int = Field(
        4096, ge=0, description="Keep the training pixels in memory when they need no more megabytes; else stream."
    )

    @field_validator("keep")
    @classmethod
    def _without_patience(cls, keep: str, info: ValidationInfo) -> str:
        if keep == "last" and info.data.get("patience", 0):
            raise PydanticCustomError("keep", "must be best where training.patience may stop a training early")
        return keep


class Evaluation(Section):
    """How the network is judged."""

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the bootstrap.")
    bootstrap_draws: int = Field(2000, ge=100, le=100_000, description="Bootstrap draws over patients.")
    calibration_bins: int = Field(15, ge=2, le=100, description="Equal-width bins of the calibration error.")
    threshold: str = Field(
        "youden",
        pattern=r"^(youden|cost|(sensitivity|specificity)>=(0?\.\d+|0|1(\.0+)?))$",
        description="How validation scans choose the threshold: youden, sensitivity>=X, specificity>=X or cost.",
    )
    temperature: bool = Field(True, description="Calibrate scores by a temperature, fitted on validation scans.")
    most_error: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Refer scans to a person until this share of the others is wrong, on validation; 1 refers none.",
    )
    prevalence: float | None = Field(
        None, gt=0, lt=1, description="Share of pneumonia where the model is used, where known; scores then mean that."
    )
    missed_cost: float = Field(
        5.0, gt=0, le=1000, description="False alarms that one missed pneumonia counts as, for the rule cost."
    )


_MARGIN = "Loss against the champion that the 95 % interval must exclude; 1 switches the rule off."


class Promotion(Section):
    """When a challenger takes the champion's place: docs/decisions/0005-promotion-policy.md."""

    scans: Literal["test", "validation"] = Field(
        "test", description="Which of the challenger's scans both models are judged on."
    )
    min_sensitivity: float = Field(0.9, ge=0, le=1, description="Least sensitivity, at the model's own threshold.")
    min_specificity: float = Field(0.5, ge=0, le=1, description="Least specificity, at the model's own threshold.")
    max_calibration_error: float = Field(0.2, ge=0, le=1, description="Most calibration error.")
    margin_auc: float = Field(0.05, ge=0, le=1, description=_MARGIN)
    margin_sensitivity: float = Field(0.05, ge=0, le=1, description=_MARGIN)
    margin_specificity: float = Field(0.1, ge=0, le=1, description=_MARGIN)
    refuse_marked: bool = Field(
        False, description="Refuse a challenger whose run says that it scores nearly as well without lungs."
    )

    @property
    def margins(self) -> dict[str, float]:
        """Give the margin of each figure that is compared with the champion's."""
        return {
            "auc": self.margin_auc,
            "sensitivity": self.margin_sensitivity,
            "specificity": self.margin_specificity,
        }


class Drift(Section):
    """When new scans are said to differ from the training scans: docs/score-new-scans.md."""

    limit: float = Field(0.25, gt=0, description="Population stability index from which a feature raises the alarm.")
    least_scans: int = Field(
        200, ge=20, description="Fewer scans on either side raise no alarm: so few differ as much by chance."
    )
    most_scans: int = Field(2000, ge=100, description="Of more new scans, as many are drawn by lot and looked at.")


class Registry(Section):
    """Where the run is tracked and the model registered."""

    experiment: str = Field("xray", min_length=1, description="MLflow experiment.")
    model_name: str = Field("xray-classifier", min_length=1, description="Registered model.")
    plain_scheme: Literal["binary", "cause", "covid"] = Field(
        "binary", description="A scheme whose models bear the plain name, as binary ones do; others add theirs to it."
    )
    challenger: bool = Field(True, description="Whether a new version takes the alias `challenger`.")
    ensemble: bool = Field(
        True, description="Of several seeds, register their averaged ensemble; else the first seed's network."
    )

    @field_validator("experiment")
    @classmethod
    def _below_the_artifacts(cls, name: str) -> str:
        """Refuse a name that names another folder than one below the artifacts, or none at all."""
        _require_name(name, "experiment")
        if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
            raise PydanticCustomError("experiment", "must be a name, or names with a / between them")
        return name

    @field_validator("model_name")
    @classmethod
    def _as_mlflow_takes_it(cls, name: str) -> str:
        """Refuse at once what MLflow refuses only when it registers."""
        _require_name(name, "model_name")
        if name == "." or name.startswith("..") or any(sign in name for sign in "/:'?#"):
            raise PydanticCustomError("model_name", "must be a name without / : ' ? # and not begin with two dots")
        return name


def _require_name(name: str, kind: str) -> None:
    """Refuse what is no name of a folder, with the room that a suffix of ours takes."""
    if not name.strip() or not name.isprintable():
        raise PydanticCustomError(kind, "must be a name that can be printed")
    if max(len(part.encode()) for part in name.split("/")) > LONGEST_NAME:
        raise PydanticCustomError(kind, "must be shorter, for a folder bears it")
