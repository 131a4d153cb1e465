"""Bytes → payloads. Every decoder takes what a read brought, whole or cut anywhere; no I/O.

A decoder has `feed(data)`, which gives what is complete, and `close()` for when the peer has closed.
What can't be right raises ValueError.
"""
