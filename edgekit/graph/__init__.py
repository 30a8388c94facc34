"""The canonical graph: one ``onnx_ir.Model`` that every front end produces and every emitter reads.

The contract, checked by :func:`edgekit.graph.verify.verify`:

1. Opset 18, the default domain only, no functions, no control flow, no subgraphs.
2. Inputs are float32, NCHW for images, batch dimension 1 (``[1, C, H, W]``); an image network's
   single input is named ``image`` and its single output ``logits`` (``[1, classes]``).
   Every value has a static shape and a dtype.
3. Constants are initializers, never ``Constant`` nodes. No ``Identity``, no ``Dropout``,
   no ``BatchNormalization`` (folded).
4. ``Conv`` has explicit ``kernel_shape``, ``strides``, ``dilations``, ``group`` and ``pads``
   (top, left, bottom, right), never ``auto_pad``, and always a bias. Weights are OIHW. ``MaxPool`` and
   ``AveragePool`` have explicit ``kernel_shape``, ``strides`` and ``pads``, and no ``ceil_mode``.
5. A classifier is ``Gemm`` with ``transB=1``, weight ``[out, in]`` and a bias, ``alpha = beta = 1``.
6. ReLU is ``Relu``; ReLU6 is ``Clip`` with scalar initializers 0 and 6; SiLU is ``Sigmoid`` and
   ``Mul`` (sigmoid first, ``Mul(x, sigmoid(x))``); hard-swish is ``HardSwish``; hard-sigmoid is
   ``HardSigmoid`` with ``alpha = 1/6``, ``beta = 0.5``.
7. Average over the whole image is ``GlobalAveragePool``; ``Flatten`` has ``axis=1``.
8. Nodes are in topological order with unique names, the dotted names of the network's layers
   (``blocks.3.expand``); a node's output is named after its node, except the graph's outputs.

A *quantized* graph is a canonical graph in which integers are expressed by ``QuantizeLinear`` and
``DequantizeLinear`` pairs; :mod:`edgekit.graph.qdq` holds that convention.
"""
