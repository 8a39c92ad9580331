"""Transport on asyncio. Imports no threading; `blocking` has the same files and classes."""
