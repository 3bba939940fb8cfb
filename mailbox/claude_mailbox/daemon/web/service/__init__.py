"""The REST routes about the daemon itself."""
