"""What comes of an offer: its decisions and members over time, counted beside the traffic and shown as they change."""
