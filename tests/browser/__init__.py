"""The admin page in a real browser, on the real stack."""
