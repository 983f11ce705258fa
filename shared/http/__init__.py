"""What the HTTP APIs share: problem details, probes, and the server that runs them."""
