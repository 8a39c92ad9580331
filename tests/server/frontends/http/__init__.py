"""Tests of the HTTP frontend."""
