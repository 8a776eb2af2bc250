"""Infrastructure as code: what a Terraform plan or a CloudFormation template declares of roles and buckets.

Both become the same ``Declared``. What that means for a role is decided in ``checks``.
"""
