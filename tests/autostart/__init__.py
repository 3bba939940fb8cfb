"""Tests of autostart."""
