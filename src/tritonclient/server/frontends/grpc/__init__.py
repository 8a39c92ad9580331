"""The gRPC frontend: listener, connections, calls and their handlers."""
