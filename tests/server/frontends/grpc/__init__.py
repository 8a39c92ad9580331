"""Tests of the gRPC frontend."""
