"""Promise: the plan's word on a group - always fits, only if packed well, never - is what the scheduler does."""
