"""The found block, drawn: layers from left to right, one column per step of the longest way to them."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.spec import Layer, LayerType, Spec, groups_of, loose_ends

from autoisp_cli.report.svg import element, picture, text

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 104.0, 42.0, 46.0, 18.0, 14.0
PASS_HEIGHT = 8.0
"""Room for an edge that passes a column."""
_FAMILY = {
    LayerType.CONV: "conv",
    LayerType.GROUPED: "conv",
    LayerType.DYNAMIC: "conv",
    LayerType.COARSE: "conv",
    LayerType.DEPTHWISE: "depthwise",
    LayerType.MAX_POOL: "pool",
    LayerType.AVG_POOL: "pool",
    LayerType.ADD: "join",
    LayerType.CONCAT: "join",
    LayerType.GATE: "gate",
    LayerType.IDENTITY: "plain",
}
_TITLE = {
    LayerType.CONV: "conv",
    LayerType.DEPTHWISE: "depthwise",
    LayerType.GROUPED: "grouped",
    LayerType.DYNAMIC: "dynamic",
    LayerType.COARSE: "half-size",
    LayerType.MAX_POOL: "max pool",
    LayerType.AVG_POOL: "mean pool",
    LayerType.ADD: "add",
    LayerType.CONCAT: "concat",
    LayerType.GATE: "gate",
    LayerType.IDENTITY: "identity",
}


@dataclass(frozen=True)
class _Box:
    title: str
    note: str
    family: str
    sources: tuple[int, ...]
    column: int


def draw(spec: Spec) -> str:
    """The block as an SVG picture: its input, every layer, and its output, which joins all loose ends."""
    layers = [layer for layer in spec.block if layer.type != LayerType.TERMINAL]
    boxes: dict[int, _Box] = {0: _Box("in", f"{spec.width} channels", "end", (), 0)}
    for layer in layers:
        column = 1 + max(boxes[source].column for source in layer.predecessors)
        title = _TITLE.get(layer.type, layer.type.name.lower())
        boxes[layer.index] = _Box(title, _note(layer, spec.width), _family(layer), layer.predecessors, column)
    ends = loose_ends(spec.block)
    last = 1 + max(box.column for box in boxes.values())
    note = "1×1, + in" if len(ends) > 1 else "+ in"
    boxes[max(boxes) + 1] = _Box("out", note, "end", ends, last)
    return _render(boxes, spec)


def _render(boxes: dict[int, _Box], spec: Spec) -> str:
    columns, links = _columns(boxes)
    places = _places(columns, links)
    width = max(place.x for place in places.values()) + BOX_WIDTH + MARGIN
    height = max(place.y + place.height for place in places.values()) + MARGIN
    edges = [_edge(places[start], places[end]) for end, starts in links.items() for start in starts]
    edges += [_through(place) for key, place in places.items() if key[1] > 0]
    edges.append(_residual(places[0, 0], places[max(boxes), 0], height))
    drawn = [_box(box, places[index, 0]) for index, box in boxes.items()]
    label = f"The found block of {len(spec.block) - 1} layers"
    return picture(width, height + BOX_HEIGHT * 0.8, label, *edges, *drawn).replace(
        'class="chart"', f'class="chart block" style="max-width:{width * 1.15:.0f}px"', 1
    )


_Key = tuple[int, int]
"""A box (its index, 0), or the place (source's index, column) where a long edge passes a column."""


@dataclass(frozen=True)
class _Place:
    x: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def _columns(boxes: dict[int, _Box]) -> tuple[list[list[_Key]], dict[_Key, list[_Key]]]:
    """What stands in each column, and what each of it is reached from in the column before.

    An edge that skips columns gets a place of its own in each of them, so that it runs between the boxes;
    edges from one box share these places.
    """
    columns: list[list[_Key]] = [[] for _ in range(1 + max(box.column for box in boxes.values()))]
    links: dict[_Key, list[_Key]] = {}
    for index, box in boxes.items():
        columns[box.column].append((index, 0))
        for source in box.sources:
            before: _Key = (source, 0)
            for column in range(boxes[source].column + 1, box.column):
                step: _Key = (source, column)
                if step not in links:
                    columns[column].append(step)
                    links[step] = [before]
                before = step
            links.setdefault((index, 0), []).append(before)
    return columns, links


def _places(columns: list[list[_Key]], links: dict[_Key, list[_Key]]) -> dict[_Key, _Place]:
    """Where everything stands. In a column, the order is that of the places it is reached from."""
    heights = [sum(_height(key) for key in column) + GAP_Y * (len(column) - 1) for column in columns]
    places: dict[_Key, _Place] = {}
    for number, column in enumerate(columns):

        def origin(key: _Key) -> float:
            before = [places[start].middle for start in links.get(key, ())]
            return sum(before) / len(before) if before else 0.0

        y = MARGIN + (max(heights) - heights[number]) / 2
        for key in sorted(column, key=lambda key: (origin(key), key)):
            places[key] = _Place(MARGIN + number * (BOX_WIDTH + GAP_X), y, _height(key))
            y += _height(key) + GAP_Y
    return places


def _height(key: _Key) -> float:
    return BOX_HEIGHT if key[1] == 0 else PASS_HEIGHT


def _edge(start: _Place, end: _Place) -> str:
    x1, y1, x2, y2 = start.x + BOX_WIDTH, start.middle, end.x, end.middle
    half = (x1 + x2) / 2
    path = f"M{x1:.1f},{y1:.1f} C{half:.1f},{y1:.1f} {half:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
    return element("path", d=path, class_="edge")


def _through(place: _Place) -> str:
    return element("path", d=f"M{place.x:.1f},{place.middle:.1f} h{BOX_WIDTH:.1f}", class_="edge")


def _residual(start: _Place, end: _Place, bottom: float) -> str:
    """The way around the block, below everything: its output is added to its input."""
    x1, y1 = start.x + BOX_WIDTH / 2, start.y + BOX_HEIGHT
    x2, y2 = end.x + BOX_WIDTH / 2, end.y + BOX_HEIGHT
    low = bottom + BOX_HEIGHT * 0.45
    path = (
        f"M{x1:.1f},{y1:.1f} C{x1:.1f},{low:.1f} {x1:.1f},{low:.1f} {x1 + BOX_WIDTH:.1f},{low:.1f} "
        f"L{x2 - BOX_WIDTH:.1f},{low:.1f} C{x2:.1f},{low:.1f} {x2:.1f},{low:.1f} {x2:.1f},{y2:.1f}"
    )
    return element("path", d=path, class_="edge residual")


def _box(box: _Box, place: _Place) -> str:
    x, y = place.x, place.y
    middle = x + BOX_WIDTH / 2
    lines = [text(middle, y + (18 if box.note else 26), box.title, class_="box-title", text_anchor="middle")]
    if box.note:
        lines.append(text(middle, y + 33, box.note, class_="box-note", text_anchor="middle"))
    frame = element("rect", x=x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=9, class_=f"box {box.family}")
    return frame + "".join(lines)


def _family(layer: Layer) -> str:
    return _FAMILY.get(layer.type, "plain")


def _note(layer: Layer, width: int) -> str:
    if not layer.kernel:
        return ""
    groups = f", {groups_of(width)} groups" if layer.type == LayerType.GROUPED else ""
    return f"{layer.kernel}×{layer.kernel}{groups}"
