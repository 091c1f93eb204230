"""The Triton kernels of the selective scan, by Triton's interpreter, which needs no GPU."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_effseg.errors import ConfigError
from napari_effseg.nets.selective_scan import scan_path

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs the extra triton")
def test_triton_gives_what_the_reference_gives() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.nets.triton_errors"],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    cases = json.loads(ran.stdout)
    assert len(cases) == 3
    for errors in cases:
        assert {"y", "last state", "u", "delta", "A", "B", "C"} <= errors.keys()
        assert max(errors.values()) < 1e-5, errors


@pytest.mark.parametrize(("kind", "dtype"), [("cpu", torch.float32), ("cuda", torch.float64)])
def test_triton_refuses_what_it_cannot_do(
    kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("EFFSEG_SCAN", "triton")
    with pytest.raises(ConfigError, match="EFFSEG_SCAN=triton"):
        scan_path(kind, dtype)


def test_triton_is_never_chosen_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EFFSEG_SCAN", raising=False)
    assert "triton" not in scan_path("cuda", torch.float32)
