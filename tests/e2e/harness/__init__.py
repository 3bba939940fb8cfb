"""The stage that the real client plays on: a scripted model, a terminal, a home and a daemon."""
