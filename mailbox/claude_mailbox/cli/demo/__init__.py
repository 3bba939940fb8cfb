"""``demo``: shows mail between two peers, with a real daemon in a temporary home folder."""
