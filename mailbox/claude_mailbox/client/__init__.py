"""What runs on the other side of the socket; standard library only."""
