"""What a SavedModel's file says of itself, read without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from pipeline.anonymize.detect.common import ALLOWED
from pipeline.anonymize.detect.suppress import Suppression
from pipeline.errors import UserError

# The few fields of TensorFlow's saved_model.proto that are read here; all others pass through unseen.
# message: {field: (number, type)}; a star stands for repeated.
FIELDS = {
    "SavedModel": {"meta_graphs": (2, "MetaGraph*")},
    "MetaGraph": {"graph": (2, "Graph"), "signatures": (5, "NamedSignature*")},
    "NamedSignature": {"key": (1, "string"), "value": (2, "Signature")},
    "Signature": {"inputs": (1, "NamedTensor*"), "outputs": (2, "NamedTensor*")},
    "NamedTensor": {"key": (1, "string"), "value": (2, "Tensor")},
    "Tensor": {"shape": (3, "Shape")},
    "Shape": {"dims": (2, "Dim*")},
    "Dim": {"size": (1, "int64")},
    "Graph": {"nodes": (1, "Node*"), "library": (2, "Library")},
    "Library": {"functions": (1, "Function*")},
    "Function": {"nodes": (3, "Node*")},
    "Node": {
        "name": (1, "string"),
        "op": (2, "string"),
        "inputs": (3, "string*"),
        "attributes": (5, "NamedAttribute*"),
    },
    "NamedAttribute": {"key": (1, "string"), "value": (2, "Attribute")},
    "Attribute": {"tensor": (8, "Constant")},
    "Constant": {"content": (4, "bytes"), "floats": (5, "float*"), "ints": (7, "int32*")},
}
SUPPRESSION = "CombinedNonMaxSuppression"
VOTING = ("vote_iou", "vote_share")
"""Constants by which a graph that lets boxes vote says how; see :class:`Suppression`."""


@dataclass(frozen=True)
class SavedModelFile:
    """A parsed ``saved_model.pb``."""

    message: Any

    @classmethod
    def read(cls, folder: Path) -> SavedModelFile:
        """Raises UserError when there is none, or it is damaged."""
        path = folder / "saved_model.pb"
        try:
            return cls(_message_class("SavedModel").FromString(path.read_bytes()))
        except OSError as error:
            raise UserError(f"detector.model: {str(folder)!r} holds no saved_model.pb; {ALLOWED}") from error
        except DecodeError as error:
            raise UserError(
                f"detector.model: {str(folder)!r} cannot be loaded (its saved_model.pb is damaged); {ALLOWED}"
            ) from error

    @property
    def signatures(self) -> dict[str, Any]:
        """By name, without those that TensorFlow keeps for itself."""
        named = {each.key: each.value for graph in self.message.meta_graphs for each in graph.signatures}
        return {name: signature for name, signature in named.items() if not name.startswith("__")}

    def outputs(self, signature: str) -> set[str]:
        return {each.key for each in self.signatures[signature].outputs}

    def input_shape(self, signature: str) -> list[int]:
        """Of the signature's only input; -1 stands for any length."""
        (tensor,) = self.signatures[signature].inputs
        return [dim.size for dim in tensor.value.shape.dims]

    def suppression(self) -> Suppression | None:
        """How the model's own graph suppresses; None: it does not, or not always in the same way."""
        ways = {way for nodes in self._scopes() for way in _suppressions(nodes)}
        return ways.pop() if len(ways) == 1 else None

    def with_only(self, signature: str) -> bytes:
        """The file with this signature alone, as the default one: converters take no other."""
        copy = _message_class("SavedModel").FromString(self.message.SerializeToString())
        for graph in copy.meta_graphs:
            kept = [each.SerializeToString() for each in graph.signatures if each.key == signature]
            del graph.signatures[:]
            for each in kept:
                only = graph.signatures.add()
                only.ParseFromString(each)
                only.key = "serving_default"
        return bytes(copy.SerializeToString())

    def _scopes(self) -> list[Any]:
        """Nodes that may name each other: those of the graph, and those of each function."""
        graphs = [each.graph for each in self.message.meta_graphs]
        return [graph.nodes for graph in graphs] + [
            function.nodes for graph in graphs for function in graph.library.functions
        ]


def _suppressions(nodes: Any) -> set[Suppression]:
    by_name = {node.name: node for node in nodes}
    votes = [node for name in VOTING for node in nodes if node.name.rpartition("/")[2] == name]
    if votes and [node.name.rpartition("/")[2] for node in votes] != list(VOTING):
        return set()
    found = set()
    for node in nodes:
        if node.op == SUPPRESSION:
            inputs = [by_name.get(name.partition(":")[0]) for name in node.inputs[2:6]]
            values = [_constant(each) for each in [*inputs, *votes]]
            if None in values:
                return set()
            per_class, most, iou, floor, *voting = (each for each in values if each is not None)
            found.add(Suppression(iou, floor, int(min(per_class, most)), *voting))
    return found


def _constant(node: Any) -> float | None:
    """The value of a scalar constant's node."""
    if node is None or node.op != "Const":
        return None
    values = {each.key: each.value for each in node.attributes}
    tensor = values["value"].tensor
    if tensor.content:
        kind = np.float32 if not tensor.ints and len(tensor.content) == 4 else None
        return None if kind is None else float(np.frombuffer(tensor.content, kind)[0])
    numbers = [*tensor.floats, *tensor.ints]
    return numbers[0] if len(numbers) == 1 else None


@cache
def _message_class(name: str) -> Any:
    field_type = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": field_type.TYPE_STRING,
        "bytes": field_type.TYPE_BYTES,
        "int32": field_type.TYPE_INT32,
        "int64": field_type.TYPE_INT64,
        "float": field_type.TYPE_FLOAT,
    }
    file = descriptor_pb2.FileDescriptorProto(name="veil_saved_model.proto", package="veil", syntax="proto3")
    for message, members in FIELDS.items():
        described = file.message_type.add(name=message)
        for member, (number, kind) in members.items():
            label = field_type.LABEL_REPEATED if kind.endswith("*") else field_type.LABEL_OPTIONAL
            added = described.field.add(name=member, number=number, label=label)
            kind = kind.removesuffix("*")
            added.type = scalars.get(kind, field_type.TYPE_MESSAGE)
            if kind not in scalars:
                added.type_name = f".veil.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"veil.{name}"))
