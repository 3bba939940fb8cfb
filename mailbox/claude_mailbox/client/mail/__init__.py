"""The mail commands: send, peek, check, rename, list and watch."""
