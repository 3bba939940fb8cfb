"""Copies of the mail."""
