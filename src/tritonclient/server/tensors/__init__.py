"""Tensors of requests and responses: checked against `ModelInfo`, decoded and encoded.

May import `jobs`, `config` and `telemetry`.
"""
