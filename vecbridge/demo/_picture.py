"""A contact sheet: queries on the left, their neighbours in order, wrong labels marked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_CELL = 96
_GAP = 14
_CAPTION = 34
_TOP = 74
_BACKGROUND = "white"
_INK = "#202124"
_MUTED = "#5f6368"
_WRONG = "#d93025"
_QUERY = "#1a73e8"


@dataclass(frozen=True)
class Tile:
    """One picture of the sheet."""

    path: Path
    label: str
    caption: str
    wrong: bool = False


def contact_sheet(
    title: str, subtitle: str, rows: list[tuple[Tile, list[Tile]]], target: Path
) -> Path:
    """Draw the sheet as a PNG file.

    Args:
        title: the first line.
        subtitle: the second line.
        rows: a query and its neighbours, nearest first, for each row.
        target: the file.

    Returns:
        The file.
    """
    columns = 1 + max(len(neighbours) for _, neighbours in rows)
    width = columns * (_CELL + _GAP) + 3 * _GAP
    height = _TOP + len(rows) * (_CELL + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, 12), title, _INK, ImageFont.load_default(22))
    pen.text((_GAP, 44), subtitle, _MUTED, ImageFont.load_default(14))
    for number, (query, neighbours) in enumerate(rows):
        top = _TOP + number * (_CELL + _CAPTION + _GAP)
        _draw(sheet, pen, query, _GAP, top, _QUERY)
        for place, tile in enumerate(neighbours, start=1):
            left = 3 * _GAP + place * (_CELL + _GAP)
            _draw(sheet, pen, tile, left, top, _WRONG if tile.wrong else None)
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)
    return target


def _draw(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, left: int, top: int, frame: str | None
) -> None:
    with Image.open(tile.path) as picture:
        sheet.paste(picture.convert("RGB").resize((_CELL, _CELL)), (left, top))
    if frame is not None:
        pen.rectangle((left - 4, top - 4, left + _CELL + 3, top + _CELL + 3), None, frame, 4)
    bottom = top + _CELL + 5
    pen.text((left, bottom), tile.label, frame or _INK, ImageFont.load_default(15))
    pen.text((left, bottom + 16), tile.caption, _MUTED, ImageFont.load_default(12))
