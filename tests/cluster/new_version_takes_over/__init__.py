"""Promise: a new version starts with the old one's live count, answers, then takes the route; no request fails."""
