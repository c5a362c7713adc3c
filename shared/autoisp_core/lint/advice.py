"""What to use in the place of operators that accelerators refuse."""

ADVICE = {
    "Attention": "use convolutions with a larger reach, or a coarse branch",
    "DeformConv": "use plain convolutions; a COARSE layer has twice the reach at a quarter of the arithmetic",
    "Einsum": "write it as MatMul, or as a 1×1 convolution",
    "GatherElements": "index with Slice or Split, whose places are fixed",
    "GatherND": "index with Slice or Split, whose places are fixed",
    "GridSample": "don't warp: use a recurrent network with its state in place, or warp before the network",
    "GroupNormalization": "train without it, as the networks of the search are, or fold it into convolutions",
    "InstanceNormalization": "train without it, as the networks of the search are: it waits for the frame",
    "LayerNormalization": "train without it, as the networks of the search are: a ReLU between convolutions",
    "LSTM": "use the spec's recurrent state, which is a convolution and a gate",
    "GRU": "use the spec's recurrent state, which is a convolution and a gate",
    "RNN": "use the spec's recurrent state, which is a convolution and a gate",
    "ScatterElements": "use Concat or Pad, whose places are fixed",
    "ScatterND": "use Concat or Pad, whose places are fixed",
    "Softmax": "use Sigmoid as a gate: it looks at one value",
    "TopK": "use a maximum over a window (MaxPool)",
}
"""By operator; the beginning of a sentence's second half."""

OTHERWISE = "write it with operators that the device has: {operators}"
"""For all others."""

SHOWN = ("Conv", "Add", "Mul", "Concat", "Relu", "Sigmoid", "AveragePool", "DepthToSpace")
"""Operators worth naming in an advice."""
