"""Recorded exchanges and inputs that once failed."""
