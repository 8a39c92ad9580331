"""Tests of statistics and settings."""
