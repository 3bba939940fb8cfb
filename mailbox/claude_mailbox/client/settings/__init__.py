"""Our hooks in a settings file of Claude Code: which they are, and how they get in and out."""
