"""Where the computing happens: devices, threads and number format."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from pipeline.config.schema import RuntimeConfig, Strategy
from pipeline.errors import UserError
from pipeline.quiet import wake_tensorflow


def build_strategy(runtime: RuntimeConfig) -> tf.distribute.Strategy:
    """A real strategy in every case: Model Garden's moving average fails under TensorFlow's default one.

    Raises:
        UserError: more devices are asked for than there are.
    """
    wake_tensorflow()
    gpus = tf.config.list_logical_devices("GPU")
    if runtime.strategy is Strategy.one_device:
        return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    if runtime.devices > len(devices):
        raise UserError(f"runtime.devices: {runtime.devices}; allowed here: at most {len(devices)}")
    return tf.distribute.MirroredStrategy(devices[: runtime.devices or None])


def set_threads(runtime: RuntimeConfig) -> None:
    """Must come before TensorFlow's first operation; later in a sweep the first run's setting stays."""
    if runtime.threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(runtime.threads)
            tf.config.threading.set_inter_op_parallelism_threads(runtime.threads)
        except RuntimeError:
            return


def set_precision(mixed: bool) -> None:
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16" if mixed else "float32")
