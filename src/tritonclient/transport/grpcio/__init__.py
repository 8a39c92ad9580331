"""Transports through grpcio's channels, for programs that ask for them by `Grpcio`."""
