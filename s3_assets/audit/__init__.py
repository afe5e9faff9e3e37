"""The audit: are the hour files equal to their sources? It trusts nothing that a build said of itself.

`compare` and `content` judge, and know no store; `hours` looks, and never writes.
"""
