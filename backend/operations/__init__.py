"""How VAP is doing and what it says: health, metrics, event stream, session, the page's files."""
