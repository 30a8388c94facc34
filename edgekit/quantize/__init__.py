"""Post-training quantization: a canonical fp32 graph and images in, a quantized graph out."""

from edgekit.quantize.arithmetic import ActivationParams, pixel_params
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.quantizer import Observation, QuantizationReport, QuantizationResult, observe, quantize

__all__ = [
    "ActivationParams",
    "Observation",
    "QuantizationReport",
    "QuantizationResult",
    "QuantizeOptions",
    "observe",
    "pixel_params",
    "quantize",
]
