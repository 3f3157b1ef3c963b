"""Promise: pulumi destroy leaves no process, no socket, no port."""
