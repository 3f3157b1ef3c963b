"""Promise: an EAS service.json is deployed as it is, and an edit of it is the diff that Pulumi shows."""
