"""Whether a number can be a SNOMED CT identifier."""

from __future__ import annotations

# Verhoeff's check: the dihedral group of order ten, and the permutation that each position adds.
_PRODUCT = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTATION = "1576283094"
_SHORTEST, _LONGEST = 6, 18


def is_sctid(value: str) -> bool:
    """Return whether `value` has the form of a SNOMED CT identifier.

    That is 6 to 18 digits, the first not 0, the last a check digit: a mistyped code is found without a table.

    References
    ----------
    SNOMED CT release file specifications, "SCTID constraints" and "Check-digit".

    Examples
    --------
    >>> is_sctid("5366008"), is_sctid("5366009")
    (True, False)
    """
    if not (value.isascii() and value.isdigit() and _SHORTEST <= len(value) <= _LONGEST and value[0] != "0"):
        return False
    check = 0
    for position, digit in enumerate(reversed(value)):
        check = int(_PRODUCT[check][_permuted(int(digit), position)])
    return check == 0


def _permuted(digit: int, position: int) -> int:
    for _ in range(position % 8):
        digit = int(_PERMUTATION[digit])
    return digit
