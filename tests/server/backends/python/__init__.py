"""Tests of the Python backend."""
