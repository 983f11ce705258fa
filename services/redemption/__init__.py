"""Decides redemption requests: one batch, one transaction, one answer each."""
