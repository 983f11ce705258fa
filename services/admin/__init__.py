"""Offers and their rules: the HTTP API that admins and their tools use."""
