"""Calls to a server. What lies here is shared by the runtimes `blocking`, `aio` and `grpcio`."""
