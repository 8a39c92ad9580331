"""Helpers of the tests: servers, peers, strategies and waiting."""
