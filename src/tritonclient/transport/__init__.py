"""Bytes in motion: connections, pools and deadlines, for threads and for event loops."""
