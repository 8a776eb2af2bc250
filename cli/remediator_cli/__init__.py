"""The command line ``remediator``: the same core and flows as the functions, for people at a terminal and for CI."""
