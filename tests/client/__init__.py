"""Tests of what `Client` and `AsyncClient` are made of."""
