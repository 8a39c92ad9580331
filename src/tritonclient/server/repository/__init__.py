"""The model repository: which versions are served, and what a loaded version consists of.

May import `scheduling`, `backends`, `tensors`, `jobs`, `config` and `telemetry`.
"""
