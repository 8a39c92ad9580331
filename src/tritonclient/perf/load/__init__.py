"""How it is sent: worker processes, pacing, and what they count."""
