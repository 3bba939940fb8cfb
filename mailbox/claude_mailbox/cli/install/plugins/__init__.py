"""Plugins in JavaScript for clients that have no hooks."""
