"""From `pulumi up` on a set-up machine to the first answered token, beside a bare script that loads the model."""
