"""Redaction of regions: pure NumPy and OpenCV, no files, no detector.

Two steps, since regions are laid out on the upright picture and painted in the stored raster:
:func:`regions` turns face boxes into regions, :func:`redact` paints them.
"""

from pipeline.anonymize.redact.apply import coverage, redact
from pipeline.anonymize.redact.methods import METHODS
from pipeline.anonymize.redact.region import Region, in_raster, region_of_each, regions

__all__ = ["METHODS", "Region", "coverage", "in_raster", "redact", "region_of_each", "regions"]
