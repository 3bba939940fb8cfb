"""Everything that runs inside the daemon's nursery."""
