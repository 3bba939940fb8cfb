"""Everything that talks to the daemon. Only the standard library: hooks must start fast."""
