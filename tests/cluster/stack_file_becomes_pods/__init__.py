"""Promise: the stack file of a laptop becomes pods that answer every protocol, and destroy leaves nothing."""
