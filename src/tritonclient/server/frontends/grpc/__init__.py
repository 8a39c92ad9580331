"""The gRPC frontend: grpcio handlers, streams, health and the thread that serves them."""
