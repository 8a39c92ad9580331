"""What is written: console report, CSV, profile export, summary, HTML."""
