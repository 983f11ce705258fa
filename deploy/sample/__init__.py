"""The sample campaign: invented users, operators, history and offers, and checkouts that use them."""
