"""Schedulers: which jobs are executed together, and when.

May import `jobs`, `config` and `telemetry`.
"""
