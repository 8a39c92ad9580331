"""Tests of tensors in shared memory."""
