"""Reach the daemon: where it listens, connections to it, its REST API, and how to start it."""
