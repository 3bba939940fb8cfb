"""Who a session is: its mailbox's name, and the process that runs it."""
