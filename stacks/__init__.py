"""What runs in AWS: the stack, one construct per capability, and the zip of the functions."""
