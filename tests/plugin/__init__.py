"""The plugin and what it runs: package, launcher, hooks, settings."""
