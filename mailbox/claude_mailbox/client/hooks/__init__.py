"""The commands that hooks run. They are quick, and never fail a session."""
