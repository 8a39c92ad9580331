"""Transport on blocking sockets. Imports no asyncio; `aio` has the same files and classes."""
