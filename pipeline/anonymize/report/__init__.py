"""What OUT tells of itself: report.json, report.html and detections.json, all made from the manifest."""

from pipeline.anonymize.report.write import write

__all__ = ["write"]
