"""The CDK stacks: one construct per capability, and the zip of the functions."""
