"""COCO's average precision and recall, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.anonymize.detect import Detections
from pipeline.evaluation.bootstrap import Intervals, intervals_of_averages
from pipeline.evaluation.labelled import LabelledFaces

FACE = 1
MAX_DETECTIONS = 1000
"""COCO's own 100 a picture would cap recall on crowds: some pictures hold several hundred faces."""


def coco_metrics(pictures: Sequence[LabelledFaces], detections: Sequence[Detections]) -> dict[str, float]:
    """``AP`` (mean over IoU .5 to .95), ``AP50``, ``AP75`` and ``AR``; all 0 without any detection.

    Ignored faces are crowds, in COCO's words. A set without a face to find has no AP: ``{}``.
    """
    return coco_figures(pictures, detections)[0]


def coco_figures(
    pictures: Sequence[LabelledFaces], detections: Sequence[Detections]
) -> tuple[dict[str, float], Intervals]:
    """:func:`coco_metrics`, and the 95 % interval of each over resamples of the pictures."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not any((~picture.ignored).any() for picture in pictures):
        return {}, {}
    if not any(len(found.boxes) for found in detections):
        return dict.fromkeys(("AP", "AP50", "AP75", "AR"), 0.0), {}
    with contextlib.redirect_stdout(io.StringIO()):  # it reports every step with print
        truth = COCO()
        truth.dataset = _truth(pictures)
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(_results(pictures, detections)), iouType="bbox")
        run.params.maxDets = [MAX_DETECTIONS]
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision, recall = run.eval["precision"], run.eval["recall"]
    ious = run.params.iouThrs
    figures = {
        "AP": float(precision.mean()),
        "AP50": float(precision[np.isclose(ious, 0.5)].mean()),
        "AP75": float(precision[np.isclose(ious, 0.75)].mean()),
        "AR": float(recall.mean()),
    }
    return figures, intervals_of_averages(run.evalImgs, ious)


def _truth(pictures: Sequence[LabelledFaces]) -> dict[str, list[dict[str, Any]]]:
    boxes = [
        (picture.id, box, bool(ignored))
        for picture in pictures
        for box, ignored in zip(picture.boxes.to_xywh().tolist(), picture.ignored, strict=True)
    ]
    return {
        "images": [{"id": picture.id} for picture in pictures],
        "categories": [{"id": FACE, "name": "FACE"}],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": FACE,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(ignored),
            }
            for number, (image, box, ignored) in enumerate(boxes, start=1)
        ],
    }


def _results(pictures: Sequence[LabelledFaces], detections: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {"image_id": picture.id, "category_id": FACE, "bbox": box, "score": score}
        for picture, found in zip(pictures, detections, strict=True)
        for box, score in zip(found.boxes.to_xywh().tolist(), found.scores.tolist(), strict=True)
    ]
