"""From a decoded request to the store: decode, default, admit, validate, commit. Knows nothing of HTTP."""
