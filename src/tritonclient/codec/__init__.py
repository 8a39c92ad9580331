"""The v2 protocol as bytes, in both directions and without I/O."""
