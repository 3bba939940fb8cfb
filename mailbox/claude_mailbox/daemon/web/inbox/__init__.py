"""The web inbox: pages for the person at this machine."""
