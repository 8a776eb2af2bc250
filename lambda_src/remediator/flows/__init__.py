"""What is done, in order: no SDK, no environment, no clock of its own."""
