"""Codes of labels as text: Slicer's TerminologyEntry, and the code column of label tables."""

from __future__ import annotations

import re

from ..volume import Code

__all__ = [
    "code_from_cell",
    "code_from_terminology",
    "code_to_cell",
    "code_to_terminology",
    "side_code",
    "side_of",
]

_SIDES = {"left": ("SCT", "7771000", "Left"), "right": ("SCT", "24028007", "Right")}
_SIDE_OF = {value: side for side, (_, value, _) in _SIDES.items()}
_OLD_SIDE_OF = {"G-A101": "left", "G-A100": "right"}  # SNOMED RT, in older segmentations
_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGION_CONTEXT = "Anatomic codes - DICOM master list"
_CATEGORY = ("SCT", "123037004", "Anatomical Structure")
_NOTHING = ("", "", "")
_CELL = re.compile(r"\s*([^\s:|]+)\s*:\s*([^\s:|]+)\s*\|([^|]+)\|\s*")


def side_code(laterality: str) -> tuple[str, str, str]:
    """Scheme, value and meaning of "left" or "right"."""
    return _SIDES[laterality]


def side_of(value: str) -> str | None:
    """Side that a code value means, in SNOMED CT or its predecessor; None for another."""
    return _SIDE_OF.get(value) or _OLD_SIDE_OF.get(value)


def code_to_terminology(code: Code) -> str:
    """Slicer's TerminologyEntry, seven parts joined by ``~``, each triplet by ``^``.

    Context, category (Anatomical Structure), type, type modifier (the side), region context, region,
    region modifier; the last two are empty.

    References
    ----------
    Slicer, Docs/developer_guide/modules/segmentations.md, "TerminologyEntry tag".
    """
    side = _SIDES[code.laterality] if code.laterality else _NOTHING
    triplets = (_CATEGORY, (code.scheme, code.value, code.meaning), side)
    parts = [
        _CONTEXT,
        *("^".join(t) for t in triplets),
        _REGION_CONTEXT,
        "^".join(_NOTHING),
        "^".join(_NOTHING),
    ]
    return "~".join(parts)


def code_from_terminology(entry: str) -> Code | None:
    """Type and side of a TerminologyEntry; None where it names no type.

    The side may stand as the modifier of the type or, as older segmentations have it, of the region.
    """
    parts = [tuple(part.split("^")) for part in entry.split("~")]
    parts += [_NOTHING] * (7 - len(parts))
    if len(parts[2]) != 3 or not all(parts[2]):
        return None
    modifiers = [part[1] for part in (parts[3], parts[6]) if len(part) == 3]
    side = next(filter(None, map(side_of, modifiers)), None)
    scheme, value, meaning = parts[2]
    return Code(scheme, value, meaning.replace("|", "/"), side)


def code_to_cell(code: Code) -> str:
    """Text for a label table.

    Examples
    --------
    >>> code_to_cell(Code("SCT", "4421005", "Hippocampus", "left"))
    'SCT:4421005 |Hippocampus| + SCT:7771000 |Left|'
    """
    triplets = [(code.scheme, code.value, code.meaning)]
    if code.laterality:
        triplets.append(_SIDES[code.laterality])
    return " + ".join(f"{scheme}:{value} |{meaning}|" for scheme, value, meaning in triplets)


def code_from_cell(cell: str) -> Code | None:
    """Read what `code_to_cell` writes; None where the text is something else."""
    found = _CELL.match(cell)
    if not found:
        return None
    scheme, value, meaning = found.groups()
    modifier = _CELL.fullmatch(cell[found.end() :].lstrip("+")) if cell[found.end() :] else None
    return Code(scheme, value, meaning.strip(), side_of(modifier[2]) if modifier else None)
