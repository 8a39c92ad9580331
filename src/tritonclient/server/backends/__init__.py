"""Backends: what executes a model. One module or folder per kind of model.

May import `jobs`, `config` and `telemetry`.
"""
