"""What the models of sessions are told."""
