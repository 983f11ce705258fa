"""Integration of the suite."""
