"""Pictures and documents of results."""
