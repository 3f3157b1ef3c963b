"""Promise: on a full pool requests wait while a new version takes the old one's place, and the preview had said so."""
