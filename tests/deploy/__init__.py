"""Tests of the whole system as it is started and stopped by `offers up`."""
