"""Experiment tracking: the only package that imports MLflow.

A training run talks to :class:`Run`, which writes every call to ``metrics.jsonl`` in the run's own
folder first (:mod:`.journal`); a thread hands it on to MLflow (:mod:`.sender`, :mod:`.mlflow_backend`).
A store that is slow, full or gone therefore neither stalls nor stops a training, and is given what it
missed when it is back. ``python -m pipeline.tracking ui`` opens the UI on the same store.

Importing this package is cheap: MLflow itself is imported when a run starts.
"""

from pipeline.tracking.run import Run
from pipeline.tracking.store import Store, locate

__all__ = ["Run", "Store", "locate"]
