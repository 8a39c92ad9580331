"""Hostile peers, proxies and in-memory peers for the transports and engines."""
