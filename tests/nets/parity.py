"""Read a parity fixture: an official model's state, inputs and outputs in one npz file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

PACKED = Path(__file__).parent / "fixtures"
SHARED = Path(os.environ.get("EFFSEG_SPECS", Path(__file__).resolve().parents[3] / "shared" / "specs"))


@dataclass(frozen=True)
class Fixture:
    """Arrays by name (such as "input/x") and the description that travels with them."""

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def tensors(self, prefix: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """Floating arrays under `prefix`, cast to `dtype`; integer ones as they are."""
        found = {
            k[len(prefix) :]: torch.from_numpy(v) for k, v in self.arrays.items() if k.startswith(prefix)
        }
        return {k: v.to(dtype) if v.is_floating_point() else v for k, v in found.items()}


def read(name: str) -> Fixture:
    """Fixture by name, packed with the tests or found beside the shared specifications."""
    for path in (PACKED / f"{name}.npz", SHARED / "fixtures" / f"{name}.npz"):
        if path.is_file():
            with np.load(path, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
            return Fixture(json.loads(str(arrays.pop("meta"))), arrays)
    pytest.skip(f"needs the parity fixture {name}.npz (set EFFSEG_SPECS)")


def key_list(name: str) -> dict[str, Any]:
    """Official key list by name: constructor, parameter count and the shape of every key."""
    for path in (PACKED / f"{name}.json", SHARED / "keys" / f"{name}.json"):
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
    pytest.skip(f"needs the key list {name}.json (set EFFSEG_SPECS)")


def relative_error(value: Tensor, truth: np.ndarray) -> float:
    """Largest difference over the largest true value."""
    expected = torch.from_numpy(truth).double()
    return float((value.detach().double() - expected).abs().max() / expected.abs().max())
