"""What commands and hooks print, and the signals that end them."""
