"""Veil: train a face detector that also sees masked faces, and anonymize folders of photographs with it."""
