"""What holds for every transport, runtime and server: one test body for each behaviour."""
