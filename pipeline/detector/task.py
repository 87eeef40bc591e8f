"""The Model Garden task: how EfficientDet is built, fed and initialized. The rest is inherited."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras
from official.core import task_factory
from official.vision.dataloaders import (
    input_reader,
    input_reader_factory,
    tf_example_decoder,
)
from official.vision.modeling import factory
from official.vision.tasks import retinanet

from pipeline.data.augment import Augmenter
from pipeline.detector import ignoring
from pipeline.detector.backbone import Backbone
from pipeline.detector.experiment import EfficientDet, EfficientDetTaskConfig
from pipeline.detector.initialize import initialize


def build_efficientdet(
    config: EfficientDet, l2_regularizer: tf_keras.regularizers.Regularizer | None = None
) -> tf_keras.Model:
    """EfficientDet for pictures whose sides are multiples of 128."""
    input_specs = tf_keras.layers.InputSpec(shape=[None, *config.input_size])
    model_id = config.backbone.get().model_id
    return factory.build_retinanet(
        input_specs=input_specs,
        model_config=config,
        l2_regularizer=l2_regularizer,
        # The stock backbone factory would put relu into squeeze-and-excitation.
        backbone=Backbone(model_id, l2_regularizer),
    )


@task_factory.register_task_cls(EfficientDetTaskConfig)
class EfficientDetTask(retinanet.RetinaNetTask):
    """Face detection with EfficientDet. Losses, steps and COCO metrics are Model Garden's."""

    def build_model(self) -> tf_keras.Model:
        decay = self.task_config.losses.l2_weight_decay
        regularizer = tf_keras.regularizers.l2(decay / 2.0) if decay else None
        network = build_efficientdet(self.task_config.model, regularizer)
        self._freeze(network)
        return network

    def initialize(self, model: tf_keras.Model) -> None:
        """Called by the trainer when there is no checkpoint to resume from."""
        model.backbone.trainable = True  # weights are read in the order that they have unfrozen
        initialize(model, self.task_config.model, self.task_config.init)
        self._freeze(model)

    def _freeze(self, model: tf_keras.Model) -> None:
        model.backbone.freeze(self.task_config.frozen_blocks, self.task_config.frozen_statistics)

    def build_inputs(
        self, params: Any, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """``(image [B, S, S, 3] normalized, labels)``; albumentations stands between decode and parse."""
        decode = tf_example_decoder.TfExampleDecoder().decode
        size = self.task_config.validation_size
        if params.is_training:
            size = self.task_config.image_size
            augment = Augmenter(self.task_config.augment, size, self.task_config.seed)
            decode = _chain(decode, augment)
        reader = input_reader_factory.input_reader_generator(
            params,
            dataset_fn=tf.data.TFRecordDataset,
            decoder_fn=decode,
            combine_fn=input_reader.create_combine_fn(params),
            parser_fn=self._parser(params, size).parse_fn(params.is_training),
        )
        return reader.read(input_context=input_context)

    def _parser(self, params: Any, size: int) -> ignoring.Parser:
        model = self.task_config.model
        return ignoring.Parser(
            output_size=[size, size],
            min_level=model.min_level,
            max_level=model.max_level,
            num_scales=model.anchor.num_scales,
            aspect_ratios=model.anchor.aspect_ratios,
            anchor_size=model.anchor.anchor_size,
            dtype=params.dtype,
            match_threshold=params.parser.match_threshold,
            unmatched_threshold=params.parser.unmatched_threshold,
            max_num_instances=params.parser.max_num_instances,
            face_anchors=self.task_config.face_anchors,
        )


def _chain(decode: Any, augment: Augmenter) -> Any:
    def decode_and_augment(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return augment(decode(serialized))

    return decode_and_augment
