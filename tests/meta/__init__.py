"""Tests of the source tree itself: who imports whom, and the house rules."""
