"""Conformance suites, one per driver kind: built-in, fake and third-party drivers all run them."""
