"""Behaviour of every transport, runtime and server: one test body for each."""
