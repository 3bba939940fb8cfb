"""``top``: who is there and what goes by, in the terminal."""
