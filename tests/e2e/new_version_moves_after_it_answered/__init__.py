"""Promise: a changed model or engine argument starts beside the old version; the route moves once it has answered."""
