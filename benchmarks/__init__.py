"""Comparisons with other tools, and measurements of speed; no part of the product."""
