"""What a score means: raw scores of a network become calibrated ones, in which 0.5 is the operating point.

:class:`~pipeline.calibration.score_map.ScoreMap` is the map and goes into the exported graph,
:mod:`~pipeline.calibration.fit` finds it on the validation split, and
:mod:`~pipeline.calibration.run` is the whole of it.
"""
