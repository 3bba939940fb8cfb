"""The command line: commands, help, errors, doctor and demo."""
