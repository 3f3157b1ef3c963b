"""Facts about models, instance types and prices; no decisions."""
