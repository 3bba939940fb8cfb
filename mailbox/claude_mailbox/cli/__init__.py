"""The full command line: commands, options and rendering."""
