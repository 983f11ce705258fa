"""Keeps offer_segment_members current from topups, users and offer changes."""
