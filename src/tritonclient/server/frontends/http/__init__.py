"""The HTTP frontend: an ASGI application and the thread that serves it."""
