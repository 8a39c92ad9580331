"""Tests of the engines: no I/O, no server."""
