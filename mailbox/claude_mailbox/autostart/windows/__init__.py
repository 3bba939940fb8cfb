"""Windows: a scheduled task, the Run key, or a service; and the programs that they start."""
