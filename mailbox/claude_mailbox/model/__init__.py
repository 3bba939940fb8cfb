"""Values that cross layers, and the rules for them. No I/O."""
