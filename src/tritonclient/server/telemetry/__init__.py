"""Statistics, and the settings of traces and logs.

Imports nothing else of the server.
"""
