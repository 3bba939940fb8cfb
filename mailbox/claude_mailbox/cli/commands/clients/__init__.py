"""Commands that clients run, or that set clients up."""
