"""The deployed remediator and the AWS account of the current profile, as the commands see and change them."""
