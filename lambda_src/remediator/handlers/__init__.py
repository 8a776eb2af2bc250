"""The Lambda functions: they read the environment, build the clients, and hand the work to the flows."""
