"""The plugin: its files and its launcher."""
