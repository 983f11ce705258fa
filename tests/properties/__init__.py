"""Properties of the suite."""
