"""Millstream: asks a language model and streams the answer to every client."""
