"""Faults of the suite."""
