"""The command line: a fast one for hooks and scripts, and the full one with help."""
