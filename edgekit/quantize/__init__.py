"""Post-training quantization: a canonical fp32 graph and images in, a quantized graph out."""

from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.quantizer import QuantizationReport, QuantizationResult, quantize

__all__ = ["QuantizationReport", "QuantizationResult", "QuantizeOptions", "quantize"]
