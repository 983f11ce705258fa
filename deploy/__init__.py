"""Ways to run the system: the command line, the embedded stack, containers."""
