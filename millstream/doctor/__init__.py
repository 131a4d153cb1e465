"""Finds out why a stream is held back on its way: streams timed marks through the real way, and looks when they come.

The marks are a stream like any other, at an address that nobody can guess, begun by the operator on the server itself
(`marks`). `probe` follows it as clients would, `diagnosis` names what it sees, `advice` has the lines that mend it.
"""
