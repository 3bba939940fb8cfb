"""Other ways to do what claude-mailbox does, each measured in the same run where it is there."""
