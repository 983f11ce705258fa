"""The image of every service and command, and the probe inside it."""
