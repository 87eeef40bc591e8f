"""The typed schema of every value that a command takes; imports no TensorFlow.

A field's ``help`` is what ``--help`` prints; its bounds are what :mod:`pipeline.config.validate`
enforces. Hydra fills these classes from ``conf/`` and from the command line.
"""

from pipeline.config.schema.anonymization import (
    AnonymizeConfig,
    DetectorConfig,
    LabelsConfig,
    LimitsConfig,
    Method,
    RecordConfig,
    RedactConfig,
    Shape,
    VerifyConfig,
    VerifyOutputConfig,
)
from pipeline.config.schema.calibration import CalibrateConfig, CalibrationConfig
from pipeline.config.schema.data import (
    ConsensusUse,
    DatasetConfig,
    Format,
    GrowConfig,
    SourceConfig,
    SplitConfig,
)
from pipeline.config.schema.measuring import (
    CompareConfig,
    ConsensusConfig,
    ContenderConfig,
    ContenderKind,
    EvaluateConfig,
    EvaluationConfig,
)
from pipeline.config.schema.releasing import RecipeConfig, ReleaseConfig, StageConfig
from pipeline.config.schema.training import (
    AugmentConfig,
    ModelConfig,
    Optimizer,
    RuntimeConfig,
    Strategy,
    TrackingConfig,
    TrainConfig,
    TrainerConfig,
)

__all__ = [
    "AnonymizeConfig",
    "AugmentConfig",
    "CalibrateConfig",
    "CalibrationConfig",
    "CompareConfig",
    "ConsensusConfig",
    "ConsensusUse",
    "ContenderConfig",
    "ContenderKind",
    "DatasetConfig",
    "DetectorConfig",
    "EvaluateConfig",
    "EvaluationConfig",
    "Format",
    "GrowConfig",
    "LabelsConfig",
    "LimitsConfig",
    "Method",
    "ModelConfig",
    "Optimizer",
    "RecipeConfig",
    "RecordConfig",
    "RedactConfig",
    "ReleaseConfig",
    "RuntimeConfig",
    "Shape",
    "SourceConfig",
    "SplitConfig",
    "StageConfig",
    "Strategy",
    "TrackingConfig",
    "TrainConfig",
    "TrainerConfig",
    "VerifyConfig",
    "VerifyOutputConfig",
]
