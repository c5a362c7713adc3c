"""What follows from a graph: what is fixed, what is known before a frame's pixels, what is quantised."""

from __future__ import annotations

from functools import cached_property

from autoisp_core.lint.graph import Graph, Node

QUANTISERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""They say in which type their neighbours work; they are no work of their own."""
CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
WEIGHTED = CONVOLUTIONS | {"Gemm", "MatMul"}
"""Operators whose second input is a weight, where it is one."""
_FUSED = frozenset({"Clip", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu"})
"""Activations that compilers make part of what they follow."""
_INDICES = frozenset({"int64", "int32", "bool", "string"})
_CHANCE = ("Bernoulli", "Multinomial", "Random")
"""What operators begin with that need no input and make something else each time."""
_NO_WORK = QUANTISERS | {"Constant", "Identity"}
_FLOATS = frozenset({"float32", "float16", "bfloat16"})


class Reading:
    """A graph with what the rules ask of it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self._readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    @cached_property
    def fixed(self) -> frozenset[str]:
        """Tensors that are the same for every picture: stored, or made of nothing but such."""
        found = {name for name, tensor in self.graph.tensors.items() if tensor.constant}
        for node in self.graph.nodes:
            chance = node.inner or node.operator.startswith(_CHANCE)
            if not chance and all(name in found for name in node.inputs if name):
                found.update(node.outputs)
        return frozenset(found)

    @cached_property
    def early(self) -> frozenset[str]:
        """Tensors that follow from what is told of a frame, and from states, without its pixels."""
        found = {name for name in self.graph.inputs if not self.graph.is_map(name)} | self.fixed
        for node in self.graph.nodes:
            if not node.inner and all(name in found for name in node.inputs if name):
                found.update(name for name in node.outputs if not self.graph.is_map(name))
        return frozenset(found)

    @cached_property
    def given_channels(self) -> frozenset[str]:
        """Tensors whose channels are those of what the graph is given: no convolution lies between."""
        found = set(self.graph.inputs)
        for node in self.graph.nodes:
            read = [name for name in node.inputs if name and name not in self.fixed]
            if node.operator not in CONVOLUTIONS and all(name in found for name in read):
                found.update(node.outputs)
        return frozenset(found)

    @cached_property
    def asked_channels(self) -> frozenset[str]:
        """Tensors whose channels are those of what is asked of the graph: no convolution comes after."""
        found = set(self.graph.outputs)
        for node in reversed(self.graph.nodes):
            readers = {name: self._readers.get(name, []) for name in node.outputs}
            found.update(
                name
                for name, after in readers.items()
                if after
                and all(one.operator not in CONVOLUTIONS and found.issuperset(one.outputs) for one in after)
            )
            found.difference_update(
                name for name, after in readers.items() if any(one.operator in CONVOLUTIONS for one in after)
            )
        return frozenset(found)

    @cached_property
    def working(self) -> tuple[Node, ...]:
        """The nodes that do something at run time."""
        return tuple(
            node
            for node in self.graph.nodes
            if not self.is_seam(node) and not all(name in self.fixed for name in node.outputs if name)
        )

    def is_seam(self, node: Node) -> bool:
        """Whether it only says in which type its neighbours work, and is no work of its own."""
        if node.operator == "Cast":
            return {self.graph.tensor(name).dtype for name in (*node.inputs, *node.outputs)} <= _FLOATS
        return node.operator in _NO_WORK

    def is_given(self, name: str) -> bool:
        """Whether it is an input of the graph, in whatever type."""
        maker = self.makers.get(name)
        while maker is not None and self.is_seam(maker) and maker.inputs:
            name = maker.inputs[0]
            maker = self.makers.get(name)
        return name in self.graph.inputs

    def is_early(self, node: Node) -> bool:
        """Whether all that it makes is known before the frame's pixels are."""
        return all(name in self.early for name in node.outputs if name)

    def on_pixels(self, node: Node) -> bool:
        """Whether it reads or makes feature maps."""
        return any(self.is_map(name) for name in (*node.inputs, *node.outputs))

    def is_map(self, name: str) -> bool:
        """Whether it has values for pixels that are not the same for every picture."""
        return self.graph.is_map(name) and name not in self.fixed

    def weight_shape(self, node: Node) -> tuple[int, ...] | None:
        """Dimensions of a convolution's kernel."""
        return self.graph.tensor(node.inputs[1]).shape if len(node.inputs) > 1 else None

    def weight_bytes(self, *, integer_bytes: int, float_bytes: int) -> int:
        """Bytes of the stored tensors, given those of one value; indices don't count."""
        total = 0
        for tensor in self.graph.tensors.values():
            if tensor.constant and tensor.dtype not in _INDICES:
                total += (tensor.size or 0) * (integer_bytes if "int" in tensor.dtype else float_bytes)
        return total

    def kind(self, name: str) -> str:
        """The type in which a tensor is held: behind a dequantisation, that of what is dequantised."""
        for _ in range(len(self.graph.nodes)):
            maker = self.makers.get(name)
            if maker is None or maker.operator not in QUANTISERS | {"Identity"} or not maker.inputs:
                break
            if maker.operator == "QuantizeLinear":
                break
            name = maker.inputs[0]
            if maker.operator == "DequantizeLinear":
                break
        return self.graph.tensor(name).dtype

    def activation(self, node: Node) -> str:
        """The type in which the feature maps are that a node works on."""
        kinds = [self.kind(name) for name in node.inputs if self.is_map(name)]
        quantised = next((kind for kind in kinds if "int" in kind), None)
        if quantised is not None:
            return quantised
        if node.operator in _FUSED and node.outputs:
            readers, maker = self._readers.get(node.outputs[0], []), self.makers.get(node.inputs[0])
            if readers and all(reader.operator == "QuantizeLinear" for reader in readers):
                before = self.activation(maker) if maker is not None and maker.operator in WEIGHTED else ""
                if "int" in before:
                    return before
        made = [self.graph.tensor(name).dtype for name in node.outputs if self.is_map(name)]
        return (kinds or made or [""])[0]
