"""The command line from inside: its modules, and its verbs against a real daemon."""
