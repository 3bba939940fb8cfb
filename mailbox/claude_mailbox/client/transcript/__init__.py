"""What a client's transcript proves of the mail that its hooks printed."""
