"""SPDY/3.1, as far as kubectl's port-forward speaks it inside a WebSocket. No I/O: bytes in, events out, and back."""
