"""Copies of the mail: backup and restore of the database, export and import of messages."""
