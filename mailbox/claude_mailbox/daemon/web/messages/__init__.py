"""The REST routes of messages: on their way in and out, and what became of them."""
