"""Frontends: bytes in, bytes out. One folder per protocol.

May import `core`, `inference` (for `Responses`), `jobs.errors` and the codec; never models.
"""
