"""Tests of the inputs and outputs of requests."""
