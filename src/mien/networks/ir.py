"""The .xml of OpenVINO's IR, version 10 or 11, read into layers: what each is, and where its inputs come from.

The file may be hostile. It is UTF-8, has no DOCTYPE and so no entities, and nothing is fetched for it. Its size, depth
and number of elements are bounded before anything is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Final, NoReturn
from xml.parsers import expat

from mien.networks.refusal import RefusalError

LARGEST_XML: Final = 16 << 20
"""Bytes. Open Model Zoo's largest file of a face encoder has 0.4 MB."""

MOST_ELEMENTS, DEEPEST, MOST_LAYERS = 200_000, 16, 10_000
"""An encoder of 700 layers has 10,000 elements, 6 deep."""

HIGHEST_RANK: Final = 6

FREE: Final = -1
"""A length that the file leaves open."""

FETCH_AGAIN: Final = "Fetch the .xml and the .bin again from where they are published; the two belong together."
NOT_FOR_MIEN: Final = (
    "mien converts plain feed-forward networks, version 10 or 11 of the IR. Take the encoder as an ONNX file if there "
    "is one."
)


@dataclass(frozen=True, slots=True)
class Layer:
    """`inputs` are the shapes that the layer expects, and `sources` the ids of the layers that give them; `output` is
    the shape that it says it gives, None if it gives nothing."""

    id: int
    kind: str
    """"Convolution", say."""
    version: str
    """The operator set, "opset1" say."""
    data: Mapping[str, str]
    inputs: tuple[tuple[int, ...], ...]
    sources: tuple[int, ...]
    output: tuple[int, ...] | None

    def __str__(self) -> str:
        return f"layer {self.id} ({self.kind})"

    def refused(self, what: str, remedy: str = NOT_FOR_MIEN) -> RefusalError:
        """The refusal of a file in which this layer ..."""
        return RefusalError(f"cannot be converted: its {self} {what}", remedy)


def read_layers(xml: bytes) -> list[Layer]:
    """All layers, each after those it takes its inputs from. Raises RefusalError."""
    root = _tree(xml)
    if root.tag != "net" or root.attributes.get("version") not in ("10", "11"):
        raise RefusalError("is not OpenVINO's IR, version 10 or 11", NOT_FOR_MIEN)
    drawn = [_Drawn(element) for element in _only(root, "layers").children]
    if len(drawn) > MOST_LAYERS:
        raise RefusalError(f"has more than {MOST_LAYERS:,} layers", NOT_FOR_MIEN)
    by_id = {each.id: each for each in drawn}
    if len(by_id) < len(drawn):
        raise RefusalError("has two layers with the same id", FETCH_AGAIN)
    for edge in _only(root, "edges").children:
        _connect(by_id, edge)
    try:
        order = [*TopologicalSorter({each.id: each.sources.values() for each in drawn}).static_order()]
    except CycleError:
        raise RefusalError("has layers that wait for each other in a circle", FETCH_AGAIN) from None
    return [by_id[each].layer() for each in order]


class _Drawn:
    """A layer while its edges are being read."""

    def __init__(self, element: _Element) -> None:
        if element.tag != "layer":
            raise RefusalError(f"has a {element.tag[:40]!r} among its layers", FETCH_AGAIN)
        self.id = whole(element.attributes.get("id", ""))
        self.kind = element.attributes.get("type", "")[:40]
        self.version = element.attributes.get("version", "")[:40]
        strange = {each.tag for each in element.children} - {"data", "input", "output", "rt_info"}
        if strange:
            raise RefusalError(f"cannot be converted: its layer {self.id} ({self.kind}) has a body", NOT_FOR_MIEN)
        data = [each for each in element.children if each.tag == "data"]
        self.data = _only(element, "data").attributes if data else {}
        self.inputs, self.outputs = _ports(element, "input"), _ports(element, "output")
        if self.inputs.keys() & self.outputs.keys():
            raise RefusalError("has two ports of one layer with the same id", FETCH_AGAIN)
        self.sources: dict[int, int] = {}
        """Input port -> id of the layer that gives it."""

    def layer(self) -> Layer:
        made = Layer(
            self.id,
            self.kind,
            self.version,
            self.data,
            tuple(self.inputs.values()),
            tuple(self.sources[port] for port in self.inputs if port in self.sources),
            next(iter(self.outputs.values()), None),
        )
        if len(made.sources) < len(made.inputs):
            raise made.refused("has an input that nothing gives", FETCH_AGAIN)
        if len(self.outputs) > 1:
            raise made.refused("has several outputs")
        return made


def _connect(layers: Mapping[int, _Drawn], edge: _Element) -> None:
    try:
        keys = ("from-layer", "from-port", "to-layer", "to-port")
        source, given, target, taken = (whole(edge.attributes[key]) for key in keys)
        known = edge.tag == "edge" and given in layers[source].outputs and taken in layers[target].inputs
    except KeyError:
        known = False
    if not known:
        raise RefusalError("has an edge from or to a place that is not there", FETCH_AGAIN)
    if taken in layers[target].sources:
        raise RefusalError("has two edges to the same input", FETCH_AGAIN)
    layers[target].sources[taken] = source


def _ports(element: _Element, which: str) -> dict[int, tuple[int, ...]]:
    """Port -> its shape, in the order of the file, which is that of the operator's inputs."""
    if all(each.tag != which for each in element.children):
        return {}
    ports: dict[int, tuple[int, ...]] = {}
    for port in _only(element, which).children:
        dimensions = [each for each in port.children if each.tag == "dim"]
        number = whole(port.attributes.get("id", ""))
        if port.tag != "port" or number in ports or len(dimensions) > HIGHEST_RANK:
            raise RefusalError("has ports that cannot be told apart or are none", FETCH_AGAIN)
        ports[number] = tuple(length("".join(each.text)) for each in dimensions)
    return ports


# Numbers, as the attributes write them


def whole(text: str) -> int:
    """A whole number, its sign allowed, of at most 15 digits."""
    if not re.fullmatch(r"\s*-?[0-9]{1,15}\s*", text):
        raise RefusalError(f"has {text[:40]!r} where a whole number belongs", FETCH_AGAIN)
    return int(text)


def wholes(text: str) -> tuple[int, ...]:
    """Whole numbers, separated by commas; none where there is nothing."""
    return tuple(map(whole, _parts(text)))


def length(text: str) -> int:
    """A length of a shape: above 0, or FREE."""
    found = FREE if text.strip() == "?" else whole(text)
    if found < 1 and found != FREE:
        raise RefusalError(f"has a tensor that is {found} long", FETCH_AGAIN)
    return found


def shape(text: str) -> tuple[int, ...]:
    """Lengths, separated by commas; none where there is nothing, as for a single number."""
    return tuple(map(length, _parts(text)))


def _parts(text: str) -> list[str]:
    parts = text.split(",", HIGHEST_RANK) if text.strip() else []
    if len(parts) > HIGHEST_RANK:
        raise RefusalError(f"has a tensor of more than {HIGHEST_RANK} dimensions", NOT_FOR_MIEN)
    return parts


# XML


@dataclass(slots=True)
class _Element:
    tag: str
    attributes: dict[str, str]
    children: list[_Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


def _only(element: _Element, tag: str) -> _Element:
    found = [each for each in element.children if each.tag == tag]
    if len(found) != 1:
        raise RefusalError(f"has {len(found)} {tag!r} where one belongs", FETCH_AGAIN)
    return found[0]


def _tree(xml: bytes) -> _Element:
    """The root of the file, without what stands under rt_info, which holds notes."""
    if len(xml) > LARGEST_XML:
        raise RefusalError(f"has {len(xml):,} bytes, more than {LARGEST_XML:,}", NOT_FOR_MIEN)
    top = _Element("", {})
    path = [top]
    left = iter(range(MOST_ELEMENTS))

    def start(tag: str, attributes: dict[str, str]) -> None:
        if next(left, None) is None or len(path) > DEEPEST:
            raise RefusalError("has too many elements, or too many within each other", NOT_FOR_MIEN)
        path.append(_Element(tag, attributes))
        if path[-2].tag != "rt_info":
            path[-2].children.append(path[-1])

    def read(text: str) -> None:
        if path[-1].tag == "dim":
            path[-1].text.append(text)

    def refuse(*_: object) -> NoReturn:
        raise RefusalError("has a DOCTYPE or entities, which no network needs", NOT_FOR_MIEN)

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = read
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise RefusalError(f"is not whole XML in UTF-8 ({error})", FETCH_AGAIN) from None
    return top.children[0]
