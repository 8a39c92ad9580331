"""Transports through grpcio's channels, blocking and on asyncio."""
