"""The driver Protocols that hooks hand out, one module per driver kind."""
