"""A Personalize that answers like the real one, asynchronously, over HTTP."""
