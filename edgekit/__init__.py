"""edgekit: mobile image networks, built, scaled, quantized to INT8, exported and measured."""

__version__ = "0.1.0"
