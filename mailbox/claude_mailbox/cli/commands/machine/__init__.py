"""Commands about the daemon and what it needs on its machine."""
