"""How long a `pulumi up` without changes takes, beside a bare Python plugin with as many resources."""
