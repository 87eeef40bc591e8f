"""Translates Veil's configuration into Model Garden's: the only file that knows its config tree.

Annotations stay evaluated here: Model Garden's config classes read them at run time.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from official.core import config_definitions, exp_factory
from official.modeling import hyperparams, optimization
from official.vision.configs import backbones, common, decoders, retinanet

from pipeline.config.schema import AugmentConfig, ModelConfig, Optimizer, TrainConfig, TrainerConfig
from pipeline.detector.bifpn import BiFPNConfig

if TYPE_CHECKING:
    from pipeline.data.version import DatasetVersion

EXPERIMENT = "veil_efficientdet"
NUM_CLASSES = 2  # background, which Model Garden counts as class 0, and FACE
MAX_FACES = 300  # labels a training picture keeps
MIN_SCORE = 0.01  # below it a detection is not even a candidate
BEST_METRIC = "AP"
"""Which checkpoint is kept. Not AP50: it stops telling checkpoints apart while boxes still become tighter,
and how much of a face a region hides follows from how tight its box is."""
BEST_CHECKPOINT = "best"


@dataclass
class Decoder(decoders.Decoder):
    """Model Garden's decoders and ours."""

    type: str | None = "bifpn"
    bifpn: BiFPNConfig = field(default_factory=BiFPNConfig)


@dataclass
class EfficientDet(retinanet.RetinaNet):
    decoder: Decoder = field(default_factory=Decoder)


@dataclass
class Augmentation(hyperparams.Config):
    """What happens to a decoded training picture; names as in ``pipeline.config.schema``."""

    flip: float = 0.0
    scale_min: float = 1.0
    scale_max: float = 1.0
    focus: float = 0.0
    mosaic: float = 0.0
    colour: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    jpeg: float = 0.0
    noise: float = 0.0
    dropout: float = 0.0


@dataclass
class EfficientDetTaskConfig(retinanet.RetinaNetTask):
    model: EfficientDet = field(default_factory=EfficientDet)
    augment: Augmentation = field(default_factory=Augmentation)
    image_size: int = 384
    validation_size: int = 768
    init: str = ""
    frozen_blocks: int = 0
    frozen_statistics: bool = False
    face_anchors: int = 0
    seed: int = 0


@exp_factory.register_config_factory(EXPERIMENT)
def _experiment() -> config_definitions.ExperimentConfig:
    return config_definitions.ExperimentConfig(
        task=EfficientDetTaskConfig(),
        trainer=config_definitions.TrainerConfig(optimizer_config=optimization.OptimizationConfig()),
        restrictions=["task.train_data.is_training != None", "task.validation_data.is_training != None"],
    )


def model_config(model: ModelConfig, num_classes: int = NUM_CLASSES) -> EfficientDet:
    """EfficientDet as a Model Garden RetinaNet; sizes are the paper's table 1."""
    return EfficientDet(
        num_classes=num_classes,
        input_size=[None, None, 3],  # one network for every size: training crops, validation, export
        backbone=backbones.Backbone(
            type="efficientnet", efficientnet=backbones.EfficientNet(model_id=model.backbone)
        ),
        decoder=Decoder(bifpn=BiFPNConfig(num_filters=model.filters, num_repeats=model.bifpn_cells)),
        head=retinanet.RetinaNetHead(
            num_convs=model.head_depth, num_filters=model.filters, use_separable_conv=True
        ),
        detection_generator=retinanet.DetectionGenerator(
            nms_version="batched",
            pre_nms_score_threshold=MIN_SCORE,
            nms_iou_threshold=model.nms_iou,
            max_num_detections=model.max_detections,
        ),
        norm_activation=common.NormActivation(
            activation="swish", norm_momentum=0.99, norm_epsilon=1e-3, use_sync_bn=False
        ),
    )


def experiment_config(config: TrainConfig, version: "DatasetVersion") -> config_definitions.ExperimentConfig:
    """The whole Model Garden experiment for a run of ours, validated and locked."""
    experiment = exp_factory.get_exp_config(EXPERIMENT)
    trainer = config.trainer
    experiment.override(
        {
            "runtime": {"mixed_precision_dtype": "bfloat16" if trainer.mixed_precision else "float32"},
            "task": {
                "model": model_config(config.model).as_dict(),
                "augment": _augmentation(config.augment).as_dict(),
                "image_size": trainer.image_size,
                "validation_size": trainer.validation_size or config.model.input_size,
                "init": config.model.init,
                "frozen_blocks": trainer.frozen_blocks,
                "frozen_statistics": trainer.frozen_statistics,
                "face_anchors": trainer.face_anchors,
                "seed": trainer.seed,
                "annotation_file": str(version.coco("val")),
                "max_num_eval_detections": 100,
                "losses": {"l2_weight_decay": trainer.l2},
                "train_data": _data(version, "train", trainer),
                "validation_data": _data(version, "val", trainer),
            },
            "trainer": _trainer(trainer),
        },
        is_strict=True,
    )
    experiment.validate()
    experiment.lock()
    return experiment


def _augmentation(augment: AugmentConfig) -> Augmentation:
    return Augmentation(**vars(augment))


def _data(version: "DatasetVersion", split: str, trainer: TrainerConfig) -> dict[str, Any]:
    training = split == "train"
    return {
        "input_path": version.records(split),  # a glob that ends in .tfrecord, or it would read val.json too
        "is_training": training,
        "global_batch_size": trainer.batch_size,
        "drop_remainder": training,  # a validation that drops pictures is not one
        "dtype": "bfloat16" if trainer.mixed_precision else "float32",
        "shuffle_buffer_size": 512,
        "seed": trainer.seed,
        "parser": {
            "aug_scale_min": 1.0,
            "aug_scale_max": 1.0,
            "max_num_instances": MAX_FACES,
        },
    }


def _trainer(trainer: TrainerConfig) -> dict[str, Any]:
    return {
        "train_steps": trainer.steps,
        "steps_per_loop": trainer.steps_per_loop,
        "summary_interval": trainer.steps_per_loop,
        "checkpoint_interval": trainer.checkpoint_every,
        "max_to_keep": trainer.checkpoints,
        "validation_interval": trainer.eval_every,
        "validation_steps": -1,
        "best_checkpoint_export_subdir": BEST_CHECKPOINT,
        "best_checkpoint_eval_metric": BEST_METRIC,
        "best_checkpoint_metric_comp": "higher",
        "preemption_on_demand_checkpoint": False,  # pipeline.training owns SIGTERM
        "optimizer_config": {
            "optimizer": _optimizer(trainer),
            "ema": {"average_decay": trainer.ema_decay} if trainer.ema_decay else None,
            "learning_rate": {
                "type": "cosine",
                "cosine": {"initial_learning_rate": trainer.learning_rate, "decay_steps": trainer.steps},
            },
            "warmup": {
                "type": "linear",
                "linear": {"warmup_steps": trainer.warmup_steps, "warmup_learning_rate": 0.0},
            },
        },
    }


def _optimizer(trainer: TrainerConfig) -> dict[str, Any]:
    if trainer.optimizer is Optimizer.sgd:
        return {"type": "sgd", "sgd": {"momentum": 0.9, "global_clipnorm": trainer.clip_norm or None}}
    return {
        "type": "adamw",
        "adamw": {
            "weight_decay_rate": trainer.weight_decay,
            "exclude_from_weight_decay": ["batch_normalization", "bias", "gamma", "beta", "fusion_weights"],
            "gradient_clip_norm": trainer.clip_norm,
        },
    }
