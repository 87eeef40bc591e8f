"""How MLflow loads a detector: this file is copied into the logged model and run there, so it stands
alone. It needs TensorFlow and nothing of Veil.
"""

from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class FaceDetector(PythonModel):
    """``predict(pictures)``, pictures uint8 ``[1, height, width, 3]`` RGB, gives the SavedModel's outputs."""

    def load_context(self, context: Any) -> None:
        import tensorflow as tf

        self._model = tf.saved_model.load(context.artifacts["saved_model"])
        self._serve = self._model.signatures["serving_default"]

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = self._serve(input_tensor=tf.convert_to_tensor(model_input, tf.uint8))
        return {name: tensor.numpy() for name, tensor in outputs.items()}


set_model(FaceDetector())
