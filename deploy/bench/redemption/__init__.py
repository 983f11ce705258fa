"""Redemption's benchmark: request topic to reply topic, beside the design's transaction and beside COPY alone."""
