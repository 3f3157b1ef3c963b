"""Promise: traffic percent are a diff of the route alone and are kept within two points."""
