"""Scores, their uncertainty, and the report a person reads. Sees plain Python values only."""
