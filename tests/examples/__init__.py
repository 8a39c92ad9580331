"""Tests of everything that is shown to users: examples, documentation, models."""
