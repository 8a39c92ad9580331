"""Whom it is sent to: one module for each kind of service."""
