"""The client side: its modules, and the commands against a real daemon."""
