"""Bytes that nobody can be trusted with: only typed errors come out, in bounded time and memory."""
