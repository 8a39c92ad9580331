"""Tests of the codecs: no I/O, no server."""
