"""What the daemon has as a process: its lock, its sockets, its clock, its log, its secret."""
