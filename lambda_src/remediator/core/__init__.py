"""The decisions. Pure: no I/O, no clock, no log, no environment, no SDK."""
