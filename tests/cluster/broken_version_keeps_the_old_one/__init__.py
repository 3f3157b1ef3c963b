"""Promise: what cannot start fails the update with its phase and words while the old version serves."""
