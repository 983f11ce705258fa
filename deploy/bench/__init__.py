"""Benchmarks of the services: each measures its peer, its limit and the system in turn, on servers of its own."""
