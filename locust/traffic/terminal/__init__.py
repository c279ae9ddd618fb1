"""What is shown in a terminal: plain lines, or one live line with the log above it."""
