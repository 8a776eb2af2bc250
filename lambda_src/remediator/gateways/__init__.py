"""The only place that speaks to AWS: each gateway turns answers into our types and errors into our errors."""
