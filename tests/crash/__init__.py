"""Real processes that die."""
