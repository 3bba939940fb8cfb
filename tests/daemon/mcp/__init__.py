"""The endpoint ``/mcp`` and ``mcp-stdio``, with the clients that people use.

Not named ``mcp``, because that is the SDK.
"""
