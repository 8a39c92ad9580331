"""Tests of the libraries in other languages: built and run by their own tools."""
