"""The identity of a session: the name of its mailbox, and its process."""
