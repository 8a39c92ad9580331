"""Tests of model configurations."""
