"""Pictures in, scored face boxes out: what runtimes share, and one module a runtime.

Importing this imports no TensorFlow; only the runtime that serves is imported, when it is loaded.
"""

from pipeline.anonymize.detect.canvas import PADDING, letterbox
from pipeline.anonymize.detect.common import Detections, Detector, Picture, look_once, model_digest
from pipeline.anonymize.detect.load import expected_runtime, load_detector, serving
from pipeline.anonymize.detect.open_vino import OpenVinoDetector
from pipeline.anonymize.detect.saved_model import SavedModelDetector

__all__ = [
    "PADDING",
    "Detections",
    "Detector",
    "OpenVinoDetector",
    "Picture",
    "SavedModelDetector",
    "expected_runtime",
    "letterbox",
    "load_detector",
    "look_once",
    "model_digest",
    "serving",
]
