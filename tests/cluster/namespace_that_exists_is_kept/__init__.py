"""Promise: a namespace that was there is used, and after destroy it is as it was."""
