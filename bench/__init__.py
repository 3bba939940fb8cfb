"""The benchmark harness: what a user of claude-mailbox waits for, measured on real daemons.

``python -m bench`` starts daemons on free ports in throw-away homes, times them from outside, and
prints one table. Everything is one process with blocking sockets or one selector loop: see
``load.py`` for why.
"""
