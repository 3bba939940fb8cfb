"""The outside contract, row by row, against real daemon processes."""
