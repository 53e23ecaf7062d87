"""A plot as SVG: lines with marks over two axes, readable on light and on dark ground. No I/O."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.result import Plot

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 44, 56
LINE_HEIGHT = 18
STEPS = 5
# Apart from each other for every common kind of colour vision, and from white and from black.
COLOURS = ("#2f81d6", "#e0762b", "#1f9e77", "#b04fc4", "#c2402f", "#8a8f2a", "#5f6fd3", "#7d7d7d")
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #3a3f45; }
  .title { font-weight: 600; font-size: 15px; }
  .axis { stroke: #6a737d; }
  .grid { stroke: #6a737d; stroke-opacity: 0.2; }
  @media (prefers-color-scheme: dark) { text { fill: #d0d7de; } }
"""


def draw(plot: Plot) -> str:
    """Return the plot as an SVG document."""
    points = [point for line in plot.series.values() for point in line]
    x_ticks = _ticks([x for x, _ in points], is_log=plot.is_log_x)
    y_ticks = _ticks([y for _, y in points], is_log=plot.is_log_y)
    legend = LINE_HEIGHT * math.ceil(len(plot.series) / 2)
    bottom = HEIGHT - BOTTOM
    place_x = _placing(x_ticks, LEFT, WIDTH - RIGHT, is_log=plot.is_log_x)
    place_y = _placing(y_ticks, bottom, TOP, is_log=plot.is_log_y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + legend}" role="img">',
        f"<title>{escape(plot.title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="24">{escape(plot.title)}</text>',
        *_axes(plot, x_ticks, y_ticks, place_x, place_y),
    ]
    for number, (name, line) in enumerate(plot.series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(place_x(x), place_y(y)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        x = LEFT + (number % 2) * (WIDTH - LEFT - RIGHT) // 2
        y = HEIGHT + (number // 2) * LINE_HEIGHT
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _axes(
    plot: Plot,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    place_x: Callable[[float], float],
    place_y: Callable[[float], float],
) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in y_ticks:
        y = place_y(tick)
        yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
    for tick in x_ticks:
        x = place_x(tick)
        yield f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{_short(tick)}</text>'
    yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}" fill="none"/>'
    middle = (LEFT + right) // 2
    yield f'<text x="{middle}" y="{bottom + 38}" text-anchor="middle">{escape(plot.x_label)}</text>'
    turned = f'transform="translate(16 {(TOP + bottom) // 2}) rotate(-90)"'
    yield f'<text {turned} text-anchor="middle">{escape(plot.y_label)}</text>'


def _ticks(values: Sequence[float], *, is_log: bool) -> list[float]:
    """Return round figures around the values: from zero, or from power to power of ten."""
    if is_log:
        lowest = math.floor(math.log10(min(values)))
        highest = max(lowest + 1, math.ceil(math.log10(max(values))))
        return [10.0**power for power in range(lowest, highest + 1)]
    rough = max(values) / STEPS or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return [step * number for number in range(math.ceil(max(values) / step) + 1)]


def _placing(ticks: Sequence[float], start: float, end: float, *, is_log: bool) -> Callable[[float], float]:
    scale: Callable[[float], float] = math.log10 if is_log else float
    low, high = scale(ticks[0]), scale(ticks[-1])

    def place(value: float) -> float:
        return start + (scale(value) - low) / ((high - low) or 1.0) * (end - start)

    return place


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
