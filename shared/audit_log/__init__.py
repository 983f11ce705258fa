"""Reading the audit log: pages and exports of events, for every service that shows them. Only audit writes to it."""
