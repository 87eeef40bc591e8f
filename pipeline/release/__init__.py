"""From a recipe to a released detector: train, calibrate, measure, gate, write the card, publish.

:func:`pipeline.release.run.make_release` is the whole of it; ``release.py`` runs it.
"""
