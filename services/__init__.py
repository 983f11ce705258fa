"""The four services: redemption, segmenter, audit and admin."""
