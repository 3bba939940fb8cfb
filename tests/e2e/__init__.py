"""The real Claude Code client, driven offline against a scripted model."""
