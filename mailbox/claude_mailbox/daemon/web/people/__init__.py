"""The REST routes of those who write and read: mailboxes, groups, sessions, tokens."""
