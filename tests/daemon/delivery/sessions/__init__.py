"""Sessions: whose mailbox is whose, and how they are rung."""
