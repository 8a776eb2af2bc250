"""The embedded AWS, and what is shown on it: everything here runs on this machine and is never deployed."""
