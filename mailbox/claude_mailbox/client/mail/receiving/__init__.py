"""What receives mail and prints it."""
