"""The message contracts, one module a topic."""
