"""What the services share: message contracts, rules, settings, broker and database access."""
