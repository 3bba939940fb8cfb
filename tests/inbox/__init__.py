"""The web inbox, over HTTP and in a real browser."""
