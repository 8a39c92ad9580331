"""Real servers and other installations that tests start or compare with."""
