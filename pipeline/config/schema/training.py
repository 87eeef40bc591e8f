"""The model, its training, and where the run is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from pipeline.config.schema.base import value
from pipeline.config.schema.calibration import CalibrationConfig
from pipeline.config.schema.data import DatasetConfig
from pipeline.config.schema.measuring import EvaluationConfig


@dataclass
class ModelConfig:
    name: str = value(MISSING, "what runs and the exported model are named after")
    backbone: str = value(MISSING, "EfficientNet variant", choices=("b0", "b1", "b2", "b3"))
    input_size: int = value(
        MISSING, "longer side in pixels of what the exported model sees", low=128, high=2048
    )
    filters: int = value(MISSING, "channels of BiFPN and heads", low=8)
    bifpn_cells: int = value(MISSING, "BiFPN repetitions", low=1, high=12)
    head_depth: int = value(MISSING, "convolutions in each head", low=1, high=8)
    init: str = value(
        "auto",
        "where weights start: 'released' (the detector of that name in models/), 'sliced' (cut out of a "
        "larger detector in models/; 'sliced:FOLDER' says of which), 'imagenet' (published, by Keras), "
        "'random', a backbone .h5 file, or a SavedModel folder; 'auto' is the first there is of released, "
        "sliced, imagenet",
    )
    start_share: float = value(
        0.0,
        "share of the weights that training started from in those that are exported; where the start is a "
        "whole detector, 0.5 often does better than either; 1: they stay, to be calibrated anew",
        low=0,
        high=1,
    )
    max_detections: int = value(300, "faces a picture at most", low=1, high=5000)
    nms_iou: float = value(0.5, "overlap above which the weaker box is dropped", above=0, high=1)


@dataclass
class AugmentConfig:
    flip: float = value(0.5, "probability of a left-right flip", low=0, high=1)
    scale_min: float = value(0.4, "smallest scale jitter", above=0, high=1)
    scale_max: float = value(2.0, "largest scale jitter", low=1, high=8)
    focus: float = value(
        0.0, "probability of a crop chosen around one face, scaled to make it small or large", low=0, high=1
    )
    mosaic: float = value(0.0, "probability that four pictures share the square", low=0, high=1)
    colour: float = value(
        0.5, "probability of brightness, contrast, saturation and hue jitter", low=0, high=1
    )
    grey: float = value(0.05, "probability of a grey picture", low=0, high=1)
    blur: float = value(0.1, "probability of a Gaussian or motion blur", low=0, high=1)
    jpeg: float = value(0.2, "probability of JPEG re-compression at quality 30 to 90", low=0, high=1)
    noise: float = value(0.1, "probability of sensor noise", low=0, high=1)
    dropout: float = value(0.1, "probability of coarse dropout (grey holes)", low=0, high=1)


class Optimizer(Enum):
    adamw = "adamw"
    sgd = "sgd"


@dataclass
class TrainerConfig:
    steps: int = value(MISSING, "optimizer steps", low=1)
    batch_size: int = value(8, "pictures a step, over all devices", low=1, high=4096)
    image_size: int = value(384, "side in pixels of the training crop, a multiple of 128", low=128, high=2048)
    optimizer: Optimizer = value(
        Optimizer.adamw, "the paper trains with sgd (momentum 0.9); adamw suits small sets"
    )
    learning_rate: float = value(
        6e-4, "peak learning rate; cosine to zero after the warm-up", above=0, high=10
    )
    warmup_steps: int = value(100, "linear warm-up, steps", low=0)
    weight_decay: float = value(1e-4, "decoupled (adamw)", low=0, high=1)
    l2: float = value(0.0, "L2 on kernels (the paper's 4e-5, with sgd)", low=0, high=1)
    clip_norm: float = value(10.0, "global gradient norm is clipped to this; 0 leaves it", low=0)
    ema_decay: float = value(
        0.998, "moving average of weights used to evaluate and export; 0 is off", low=0, below=1
    )
    frozen_blocks: int = value(
        0,
        "blocks of the backbone, from its stem on, that keep their weights; 5 are those of stride 4",
        low=0,
        high=64,
    )
    frozen_statistics: bool = value(
        False, "batch normalization of the backbone keeps its statistics: for fine-tuning a trained detector"
    )
    face_anchors: int = value(
        0,
        "anchors that a face takes at least, of those that overlap it by 0.2: small ones count; 0 is off",
        low=0,
        high=100,
    )
    mixed_precision: bool = value(False, "bfloat16 compute; pays on GPUs, not on CPUs")
    steps_per_loop: int = value(20, "steps between two log lines", low=1)
    checkpoint_every: int = value(200, "steps between two checkpoints", low=1)
    validation_size: int = value(
        0, "side in pixels of validation pictures; 0 is model.input_size", low=0, high=2048
    )
    eval_every: int = value(500, "steps between two validations", low=1)
    early_stop: int = value(0, "validations without a better AP before stopping; 0 never stops early", low=0)
    checkpoints: int = value(2, "latest checkpoints kept, beside the best", low=1)
    seed: int = value(0, "shuffling and augmentation", low=0)


class Strategy(Enum):
    one_device = "one_device"
    mirrored = "mirrored"


@dataclass
class RuntimeConfig:
    strategy: Strategy = value(Strategy.one_device, "mirrored copies the model to all GPUs")
    devices: int = value(0, "devices a mirrored strategy uses; 0 is all", low=0, high=64)
    threads: int = value(0, "CPU threads; 0 is all cores", low=0, high=1024)


@dataclass
class TrackingConfig:
    enabled: bool = value(True, "write the run to MLflow")
    uri: str | None = value(
        None, "MLflow store; default: $MLFLOW_TRACKING_URI, else SQLite in outputs/mlflow"
    )
    experiment: str = value("veil", "MLflow experiment")
    registered_model: str = value("veil-face-detector", "name in MLflow's model registry")


@dataclass
class TrainConfig:
    """train.py"""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    run: str | None = value(
        None, "name of the run; default: dataset-model-digest, so that the same command resumes"
    )
    outputs: str = value("outputs", "where runs are written")
    stages: list[str] = value(
        ["prepare", "train", "export", "calibrate", "evaluate"],
        "which stages to run, in this order",
        choices=("prepare", "train", "export", "calibrate", "evaluate"),
    )
