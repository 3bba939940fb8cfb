"""Layers of the daemon, each alone, in virtual time where time counts."""
