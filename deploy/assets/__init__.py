"""What the admin page loads that others wrote, and the build that puts it in its place."""
