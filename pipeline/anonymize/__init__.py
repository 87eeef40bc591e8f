"""Anonymize pictures from Python: an array, a file, or a folder. See docs/library.md.

Importing this package imports nothing heavy; what computes a detector is imported by :func:`load_detector`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.anonymize.detect import Detections, Detector, SavedModelDetector, load_detector
    from pipeline.anonymize.entry import Entry, Face
    from pipeline.anonymize.images.model import PictureError
    from pipeline.anonymize.library import Anonymized, anonymize_array, anonymize_file, anonymize_folder
    from pipeline.anonymize.outcome import Summary
    from pipeline.anonymize.recheck import Verification, verify_folder
    from pipeline.anonymize.redact import Region

_HOMES = {
    "Anonymized": "library",
    "anonymize_array": "library",
    "anonymize_file": "library",
    "anonymize_folder": "library",
    "verify_folder": "recheck",
    "Verification": "recheck",
    "load_detector": "detect",
    "Detections": "detect",
    "Detector": "detect",
    "SavedModelDetector": "detect",
    "Entry": "entry",
    "Face": "entry",
    "PictureError": "images.model",
    "Region": "redact",
    "Summary": "outcome",
}

__all__ = [
    "Anonymized",
    "Detections",
    "Detector",
    "Entry",
    "Face",
    "PictureError",
    "Region",
    "SavedModelDetector",
    "Summary",
    "Verification",
    "anonymize_array",
    "anonymize_file",
    "anonymize_folder",
    "load_detector",
    "verify_folder",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
