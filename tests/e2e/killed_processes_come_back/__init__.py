"""Promise: a killed replica, gateway or host comes back by itself or with the next plain up."""
