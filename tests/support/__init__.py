"""Support of the suite."""
