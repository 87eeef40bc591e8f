"""Label files beside the pictures come along: valid against the output, otherwise untouched.

Redaction moves no pixel, so boxes and sizes stay right as they are. What can become wrong is what a label
file says of *files*: absolute paths into DATA, and pictures that were left out. Only that is changed, in
place; a file in which nothing is wrong is copied byte for byte.
"""

from pipeline.anonymize.labels.run import candidates, carry, others

__all__ = ["candidates", "carry", "others"]
