"""A fitted head as a network: "embedding" (N, D) float32 of any length -> "scores" (N, P) float32, cosines.

It computes what `mien.fitted.Fitted.scores` does, with nothing but ONNX's own operators, so that any ONNX runtime can
use a model. onnx is imported inside, as only training needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mien.fitted import Fitted

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 18, 8
"""18 has the scatter by maximum, and every ONNX Runtime that mien supports knows both; fixed, so that the same head
gives the same bytes."""


def head_graph(head: Fitted) -> bytes:
    """The serialised network, all weights inside: no external data."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    people, dimensions = head.vectors.shape
    constants: dict[str, np.ndarray[Any, Any]] = {"prototypes": np.ascontiguousarray(head.vectors.T, np.float32)}
    nodes = []
    source = "embedding"
    if head.transform is not None:
        constants["transform"] = np.ascontiguousarray(head.transform, np.float32)
        nodes.append(helper.make_node("MatMul", [source, "transform"], ["turned"]))
        source = "turned"
    nodes.append(helper.make_node("LpNormalization", [source], ["unit"], axis=1, p=2))
    if head.share == 1.0 or not len(head.exemplars):
        nodes.append(helper.make_node("MatMul", ["unit", "prototypes"], ["scores"]))
    else:
        constants |= {
            "exemplars": np.ascontiguousarray(head.exemplars.T, np.float32),
            "owner": head.owner[None].astype(np.int64),
            "share": np.array([head.share], np.float32),
            "rest": np.array([1 - np.float32(head.share)], np.float32),
            "farthest": np.array([-1], np.float32),
        }
        nodes += [
            helper.make_node("MatMul", ["unit", "prototypes"], ["means"]),
            helper.make_node("MatMul", ["unit", "exemplars"], ["singles"]),
            helper.make_node("Shape", ["singles"], ["shape"]),
            helper.make_node("Expand", ["owner", "shape"], ["columns"]),
            helper.make_node("Shape", ["means"], ["width"]),
            helper.make_node("Expand", ["farthest", "width"], ["nothing"]),
            helper.make_node(
                "ScatterElements", ["nothing", "columns", "singles"], ["nearest"], axis=1, reduction="max"
            ),
            helper.make_node("Mul", ["means", "share"], ["part"]),
            helper.make_node("Mul", ["nearest", "rest"], ["other"]),
            helper.make_node("Add", ["part", "other"], ["scores"]),
        ]
    graph = helper.make_graph(
        nodes=nodes,
        name="mien-head",
        inputs=[helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", dimensions])],
        outputs=[helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", people])],
        initializer=[numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    model: ModelProto = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="mien")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def head_of_graph(data: bytes) -> Fitted:
    """The head of a network that `head_graph` serialised, its `counted` empty. Raises ValueError for any other."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import numpy_helper

    try:
        graph = onnx.load_model_from_string(data).graph
        constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        dimensions = constants["prototypes"].shape[0]
        exemplars = constants.get("exemplars", np.empty((dimensions, 0), np.float32))
        (owner,) = constants.get("owner", np.empty((1, 0), np.int64))
        (share,) = constants.get("share", np.ones(1, np.float32))
        head = Fitted(
            vectors=np.ascontiguousarray(constants["prototypes"].T),
            transform=constants.get("transform"),
            exemplars=np.ascontiguousarray(exemplars.T),
            owner=owner,
            share=float(share),
            counted=np.empty(0, np.bool_),
        )
    except (DecodeError, LookupError, ValueError, TypeError) as error:
        raise ValueError(_FOREIGN) from error
    if not _is_sound(head):
        raise ValueError(_FOREIGN)
    return head


_FOREIGN = "it is not a head that mien wrote"


def _is_sound(head: Fitted) -> bool:
    """Whether the parts, which came from a file, belong together."""
    people, size = head.vectors.shape if head.vectors.ndim == 2 else (0, 0)
    floats = [head.vectors, head.exemplars, *([] if head.transform is None else [head.transform])]
    return (
        people > 0
        and all(part.dtype == np.float32 and np.isfinite(part).all() for part in floats)
        and head.exemplars.shape == (len(head.owner), size)
        and (head.transform is None or head.transform.shape == (size, size))
        and head.owner.dtype == np.int64
        and bool((np.diff(head.owner, prepend=0, append=people - 1) >= 0).all())
        and 0 <= head.share <= 1
    )
