"""The command line: options, their checks, and the settings they make."""
