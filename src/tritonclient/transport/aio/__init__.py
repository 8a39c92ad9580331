"""Transports on an asyncio event loop. Imports no threads; `blocking` has the same files."""
