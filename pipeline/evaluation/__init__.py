"""How well a detector finds faces, and what the tool would leave to be seen.

:func:`evaluate` is the whole of it; heavy imports wait until it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.evaluation.report import Evaluation as Evaluation
    from pipeline.evaluation.run import evaluate as evaluate

__all__ = ["Evaluation", "evaluate"]


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        from pipeline.evaluation.run import evaluate

        return evaluate
    if name == "Evaluation":
        from pipeline.evaluation.report import Evaluation

        return Evaluation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
