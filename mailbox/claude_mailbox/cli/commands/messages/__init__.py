"""Commands about messages, and those who exchange them."""
