"""What is measured: windows, stability, search, and the statistics of servers."""
