"""Which anchors a face takes in training."""

from __future__ import annotations

import tensorflow as tf
from official.vision.ops import box_matcher

LEAST_IOU = 0.2
"""Overlap with a face from which on an anchor may be taken for it."""
TAKEN = 1
"""Model Garden's indicator of an anchor that has a face."""


class Matcher(box_matcher.BoxMatcher):
    """Model Garden's, and anchors for small faces.

    An anchor takes the face that it overlaps by half. The smallest anchors are 32 pixels, so of a face of 48
    pixels three dozen do, of one of 24 two or three, and below 22 only the one that is forced to: next to
    the large ones, small faces hardly count. So a face that has fewer than ``least`` anchors also takes those
    free ones that it overlaps most (Zhang et al. 2017, S3FD).
    """

    def __init__(self, unmatched: float, matched: float, least: int) -> None:
        """Background below ``unmatched``, a face's from ``matched`` on, between them neither."""
        super().__init__([unmatched, matched], [-1, -2, TAKEN], force_match_for_each_col=True)
        self.least = least

    def __call__(self, similarity: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Int ``[anchors]`` twice: which face, and whether it is taken; from IoU ``[anchors, faces]``."""
        faces, indicators = super().__call__(similarity)
        if not self.least:
            return faces, indicators
        taken = indicators == TAKEN
        count = tf.shape(similarity)[1]
        room = tf.maximum(count, 1)  # without a face, every anchor names face 0
        missing = self.least - tf.math.unsorted_segment_sum(tf.cast(taken, tf.int32), faces, room)[:count]
        free = tf.where(taken[:, tf.newaxis], 0.0, similarity)
        overlaps, anchors = tf.math.top_k(tf.transpose(free), self.least)  # [faces, least]
        more = (tf.range(self.least) < missing[:, tf.newaxis]) & (overlaps >= LEAST_IOU)
        anchors, overlaps = anchors[more][:, tf.newaxis], overlaps[more]
        # Of two faces that want an anchor, the one that overlaps it more takes it.
        most = tf.tensor_scatter_nd_max(tf.zeros(tf.shape(faces)), anchors, overlaps)
        wins = overlaps == tf.gather_nd(most, anchors)
        owners = tf.cast(tf.where(more)[:, 0], tf.int32)[wins]
        faces = tf.tensor_scatter_nd_update(faces, anchors[wins], owners)
        return faces, tf.tensor_scatter_nd_update(indicators, anchors[wins], tf.fill(tf.shape(owners), TAKEN))
