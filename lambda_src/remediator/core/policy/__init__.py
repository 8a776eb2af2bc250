"""IAM policies: what a document says, how it is edited, and how AWS evaluates it."""
