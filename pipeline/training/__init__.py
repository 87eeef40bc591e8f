"""Training: Model Garden's trainer and Orbit's loop, with our progress, tracking and resume around them."""
