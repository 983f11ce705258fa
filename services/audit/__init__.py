"""Stores every audit event once, hash-chained, and answers questions about them."""
