"""The container recipes of docs/network.md, in real containers; ``tests/containers/run`` runs them."""
