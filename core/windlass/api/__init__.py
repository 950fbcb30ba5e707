"""The HTTP face: one generic handler for every kind, on Falcon. All decisions about objects are the registry's."""
