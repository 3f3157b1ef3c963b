"""Promise: `knowledge.documents` reach the pods with the stack, and follow its files without a restart."""
