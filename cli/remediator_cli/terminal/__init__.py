"""Reading from and printing to a terminal: options, exit codes, tables, JSON lines, the configuration file."""
