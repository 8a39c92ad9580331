"""State machines that are fed received bytes and hand out bytes to send; no I/O."""
