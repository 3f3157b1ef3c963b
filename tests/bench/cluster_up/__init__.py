"""How long `pulumi up` of many services on a cluster takes, beside a bare program with the same objects."""
