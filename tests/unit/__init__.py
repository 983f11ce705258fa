"""Unit of the suite."""
