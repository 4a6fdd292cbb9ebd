"""The sections of the configuration, with each value's bounds and meaning."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from xray.errors import ConfigError

if TYPE_CHECKING:
    from xray.labels import Scheme

LONGEST_NAME = 200
"""Bytes of UTF-8: a folder's name may have 255, and ours is the name with a suffix."""


def requirement(fault: ErrorDetails) -> str:
    """Say what a value must be, in pydantic's words and our form."""
    words = fault["msg"]
    if "url" not in fault:  # in our own words
        return words
    words = re.sub(r"^(input|string|value) should", "must", words[:1].lower() + words[1:])
    return words.replace("a valid tuple", "a list in brackets")


def _refused(key: str, error: Exception) -> PydanticCustomError:
    """Turn an error of ours into pydantic's, which ends in what was received, and is of a section's key."""
    return PydanticCustomError(key, "{why}", {"why": str(error).replace(". Received: ", ": ")})


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
    """A recipe's description of itself."""

    source: str = Field("Not said.", min_length=1, description="Where the recipe comes from.")
    expect: str = Field("Not said.", min_length=1, description="What to expect of it: score, hours, machine.")


class Images(Section):
    """The size of every stored scan."""

    height: int = Field(300, ge=32, le=2048, description="Rows of a normalized scan, in pixels.")
    width: int = Field(300, ge=32, le=2048, description="Columns of a normalized scan, in pixels.")
    fit: Literal["stretch", "pad"] = Field(
        "stretch", description="Stretch to the size, as the article did, or keep the aspect ratio and pad with black."
    )


class Scans(Section):
    """What may be missing of a data set."""

    most_missing: float = Field(
        0.05, ge=0, le=1, description="Maximum share of the metadata's rows without a file; above it nothing is done."
    )


class Split(Section):
    """How scans are split: TEST, where the data set has none, and folds over the TRAIN scans."""

    added_later = frozenset({"test_share", "official_validation"})

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the folds.")
    folds: int = Field(5, ge=2, le=20, description="Number of folds over the TRAIN scans.")
    validation_fold: int = Field(0, ge=0, description="The fold used for validation; the others are for training.")
    group_by: Literal["patient", "source", "none"] = Field(
        "patient",
        description="Keep a patient's scans in one fold, or hold out whole sources, or split at random as the article.",
    )
    drop_shared_patients: bool = Field(False, description="Leave patients who also have TEST scans out of training.")
    test_share: float = Field(
        0.2,
        ge=0.05,
        le=0.5,
        description="Share of the scans drawn as TEST, by patient, if the data set has no TEST.",
    )
    official_validation: bool = Field(
        False, description="Use the data set's own validation scans as validation; else they join TRAIN."
    )


class Model(Section):
    """The network."""

    added_later = frozenset({"backbone", "weights", "standardize", "views"})

    architecture: Literal["article", "quick", "residual", "backbone"] = Field(
        "article", description="article, quick, residual, or backbone for a known network."
    )
    backbone: Literal[
        "none", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_v2_b0", "densenet121", "resnet50_v2"
    ] = Field("none", description="The network of keras.applications to use, with one output layer of ours.")
    weights: str = Field(
        "none",
        min_length=1,
        description="Initial weights of a backbone: none (random, from the seed), imagenet, or a file.",
    )
    standardize: bool = Field(
        False, description="Give every scan the same mean and contrast, as the network's first step."
    )
    views: Literal[1, 5] = Field(
        1,
        description="Views that the trained network averages over: 1 (the scan), or 5 (with four mirrored views).",
    )

    @field_validator("backbone")
    @classmethod
    def _with_its_architecture(cls, backbone: str, info: ValidationInfo) -> str:
        architecture = info.data.get("architecture", "backbone")
        if architecture == "backbone" and backbone == "none":
            raise PydanticCustomError("backbone", "must name a network where model.architecture is backbone")
        if architecture != "backbone" and backbone != "none":
            raise PydanticCustomError("backbone", "can only be set with model.architecture=backbone")
        return backbone

    @field_validator("weights")
    @classmethod
    def _absolute(cls, weights: str, info: ValidationInfo) -> str:
        """Name a file in one way only, from wherever it is read."""
        if weights == "none":
            return weights
        if info.data.get("architecture", "backbone") != "backbone":
            raise PydanticCustomError("weights", "can only be set with model.architecture=backbone")
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
            raise PydanticCustomError("standardize", "must be false for a backbone, which has its own scaling")
        return standardize

    @property
    def network(self) -> str:
        """The network's name: the backbone's, where there is one."""
        return self.architecture if self.backbone == "none" else self.backbone


class Labels(Section):
    """The classes of the network."""

    added_later = frozenset({"finding", "classes"})

    scheme: str = Field(
        "binary",
        min_length=1,
        description="`binary` (pneumonia or normal), `cause` (normal, bacterial, viral), `covid` (these and COVID-19), "
        "or the TOML file of another scheme.",
    )
    finding: str = Field("", description="Finding of a scheme that is not shipped; read from its file.")
    classes: tuple[str, ...] = Field((), description="Classes of a scheme that is not shipped; read from its file.")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="Equal weight in the loss for every scan (none), or for every class (balanced)."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_its_file(cls, values: Any) -> Any:
        """Read a scheme that is named by its file."""
        from xray.scheme_files import read_scheme, shipped_schemes

        if not isinstance(values, Mapping) or not isinstance(name := values.get("scheme", "binary"), str):
            return values
        own = values.get("finding") or values.get("classes")
        if own and (name in shipped_schemes() or name.endswith(".toml")):
            raise PydanticCustomError("scheme", "must have no labels.finding and labels.classes beside it")
        if name.endswith(".toml"):
            try:
                read = read_scheme(Path(name))
            except ConfigError as error:
                raise _refused("scheme", error) from error
            if read.name in shipped_schemes():
                raise PydanticCustomError("scheme", "must have a file that is not called as a shipped scheme")
            return {**values, "scheme": read.name, "finding": read.finding, "classes": read.classes}
        return values

    @model_validator(mode="after")
    def _is_a_scheme(self) -> Self:
        from xray.scheme_files import scheme_of, shipped_schemes

        known = shipped_schemes()
        if self.scheme not in known and not self.classes:
            words = {"known": ", ".join(known)}
            raise PydanticCustomError("scheme", "must be {known}, or a scheme's .toml file", words)
        if self.classes:
            try:
                scheme_of(self.scheme, self.finding, self.classes)
            except ValueError as error:
                raise _refused("scheme", error) from error
        return self

    @property
    def told_apart(self) -> "Scheme":
        """What the network tells apart."""
        from xray.scheme_files import scheme_of, shipped_schemes

        return scheme_of(self.scheme, self.finding, self.classes) if self.classes else shipped_schemes()[self.scheme]


class Augmentation(Section):
    """Random changes of each training scan, different in each epoch. Zero or false switches one off."""

    added_later = frozenset({"aspect", "shift", "gamma", "contrast", "brightness", "erase", "sharpness", "noise"})

    zoom: float = Field(0.0, ge=0, le=0.9, description="Zoom by up to this share of the size, in or out.")
    rotation: float = Field(0.0, ge=0, le=0.5, description="Rotate by up to this share of a full turn, either way.")
    flip: bool = Field(False, description="Mirror left and right with probability one half.")
    aspect: float = Field(
        0.0, ge=0, le=1, description="Change the aspect ratio by a factor of up to e to this, or its inverse."
    )
    shift: float = Field(0.0, ge=0, le=0.5, description="Move by up to this share of the size, either way.")
    gamma: float = Field(0.0, ge=0, le=2, description="Gamma correction: exponent up to e to this, or its inverse.")
    contrast: float = Field(0.0, ge=0, le=2, description="Contrast: factor of up to e to this, or its inverse.")
    brightness: float = Field(0.0, ge=0, le=1, description="Add or subtract up to this share of white.")
    erase: float = Field(0.0, ge=0, le=1, description="Cover a box of up to this share of either side with one gray.")
    sharpness: float = Field(0.0, ge=0, le=1, description="Sharpen or blur; 1 blurs over five pixels at most.")
    noise: float = Field(0.0, ge=0, le=0.5, description="Add normal noise of up to this share of white.")


class Training(Section):
    """How the network is trained."""

    added_later = frozenset({"weight_decay", "schedule", "label_smoothing", "keep"})

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of weights, order and augmentation.")
    seeds: int = Field(1, ge=1, le=20, description="Number of networks to train, with `seed` and the seeds after it.")
    epochs: int = Field(60, ge=1, le=10_000, description="Maximum number of epochs.")
    batch_size: int = Field(32, ge=1, le=4096, description="Scans per training step.")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="Adam's learning rate.")
    patience: int = Field(
        5, ge=0, description="Stop after this many epochs without a lower validation loss; 0 never stops."
    )
    keep: Literal["best", "last"] = Field(
        "best", description="Keep the weights of the epoch with the lowest validation loss, or of the last epoch."
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="AdamW's weight decay per step, multiplied by the learning rate."
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="Constant learning rate, or one epoch of warm-up and then a cosine decay to zero."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each target that is spread over all classes.")
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto", description="Precision of a training step; auto uses bfloat16 if it is faster on this hardware."
    )
    memory_budget_mb: int = Field(
        4096, ge=0, description="Megabytes of training pixels that are kept in memory; larger sets are streamed."
    )

    @field_validator("keep")
    @classmethod
    def _without_patience(cls, keep: str, info: ValidationInfo) -> str:
        if keep == "last" and info.data.get("patience", 0):
            raise PydanticCustomError("keep", "must be best if training.patience can stop a training early")
        return keep


class Evaluation(Section):
    """How the network is evaluated."""

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the bootstrap.")
    bootstrap_draws: int = Field(2000, ge=100, le=100_000, description="Bootstrap draws over patients.")
    calibration_bins: int = Field(15, ge=2, le=100, description="Number of equal-width bins for the calibration error.")
    threshold: str = Field(
        "youden",
        pattern=r"^(youden|cost|(sensitivity|specificity)>=(0?\.\d+|0|1(\.0+)?))$",
        description="Rule for the threshold on validation scans: youden, sensitivity>=X, specificity>=X or cost.",
    )
    temperature: bool = Field(True, description="Calibrate scores by temperature scaling, fitted on validation scans.")
    most_error: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Refer doubtful scans so that at most this share of others is wrong on validation; 1 refers none.",
    )
    prevalence: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the finding where the model is used, if known; it adjusts the scores.",
    )
    missed_cost: float = Field(
        5.0, gt=0, le=1000, description="Cost of a missed finding, in false alarms, for the rule cost."
    )


_MARGIN = "Maximum loss against the champion, at 95 % confidence; 1 switches the rule off."


class Promotion(Section):
    """When a challenger replaces the champion: docs/decisions/0005-promotion-policy.md."""

    scans: Literal["test", "validation"] = Field(
        "test", description="Which of the challenger's scans both models are evaluated on."
    )
    min_sensitivity: float = Field(0.9, ge=0, le=1, description="Minimum sensitivity, at the model's own threshold.")
    min_specificity: float = Field(0.5, ge=0, le=1, description="Minimum specificity, at the model's own threshold.")
    max_calibration_error: float = Field(0.2, ge=0, le=1, description="Maximum calibration error.")
    margin_auc: float = Field(0.05, ge=0, le=1, description=_MARGIN)
    margin_sensitivity: float = Field(0.05, ge=0, le=1, description=_MARGIN)
    margin_specificity: float = Field(0.1, ge=0, le=1, description=_MARGIN)
    refuse_marked: bool = Field(False, description="Refuse a challenger that scores nearly as well without lungs.")
    external: str = Field("", description="Folder of labelled scans, or s3://BUCKET/FOLDER, used instead of TEST.")
    external_scans: int = Field(100, ge=20, description="Minimum number of scans in such a folder.")
    external_patients: int = Field(50, ge=10, description="Minimum number of patients in such a folder.")

    @property
    def margins(self) -> dict[str, float]:
        """Give the margin of each figure that is compared with the champion's."""
        return {
            "auc": self.margin_auc,
            "sensitivity": self.margin_sensitivity,
            "specificity": self.margin_specificity,
        }


class Drift(Section):
    """When new scans count as different from the training scans: docs/score-new-scans.md."""

    limit: float = Field(0.25, gt=0, description="Population stability index (PSI) that raises the alarm.")
    least_scans: int = Field(
        200, ge=20, description="Minimum number of scans on both sides for an alarm; fewer differ by chance."
    )
    most_scans: int = Field(2000, ge=100, description="Maximum number of new scans compared, at random.")


class Registry(Section):
    """Where the run is tracked and the model registered."""

    experiment: str = Field("xray", min_length=1, description="MLflow experiment.")
    model_name: str = Field("xray-classifier", min_length=1, description="Registered model.")
    plain_scheme: str = Field(
        "binary",
        min_length=1,
        description="The scheme whose models have the plain name; other schemes are added to the name.",
    )
    challenger: bool = Field(True, description="Whether a new version takes the alias `challenger`.")
    ensemble: bool = Field(
        True, description="With several seeds, register their averaged ensemble, or else the first seed's network."
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
        raise PydanticCustomError(kind, "must be shorter, because a folder has this name")
