"""The calls of each client, for `worker`: all send the same requests."""
