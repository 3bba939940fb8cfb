"""What the hooks of Claude Code run: quick, quiet, and never in the way of a session."""
