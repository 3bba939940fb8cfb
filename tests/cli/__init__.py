"""The command line as people use it: commands, help, errors, doctor and demo."""
