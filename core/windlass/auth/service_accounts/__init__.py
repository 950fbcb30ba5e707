"""Service accounts' tokens: signed by the API server, bound to pods, checked at every use."""
