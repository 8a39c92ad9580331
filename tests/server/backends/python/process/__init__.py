"""Tests of instances in processes of their own."""
