"""Our hooks in a settings file of Claude Code: which they are, how they are added and removed."""
