"""The commands of the full command line: their options and help."""
