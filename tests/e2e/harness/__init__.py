"""What the real client needs in a test: a scripted model, a terminal, a home and a daemon."""
