"""The hooks of other clients than Claude Code."""
