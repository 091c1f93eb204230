"""The table of the selective scan's paths."""

from __future__ import annotations

import logging

import pytest
import torch

from napari_effseg import Cancelled
from napari_effseg.engine.torch_memory import TorchMemory
from napari_effseg.evaluation.scan_bench import ScanProblem, bench_scan

SMALL = ScanProblem(batch=1, channels=8, length=64, states=4)


def test_every_path_has_a_row_in_both_directions() -> None:
    rows = bench_scan(SMALL)
    names = [row.path for row in rows]
    assert names[:2] == ["reference", "reference"]
    assert {"chunked-torch", "numba-cpu"} < set(names)
    assert [row.direction for row in rows] == ["forward", "backward"] * (len(rows) // 2)


def test_the_reference_is_once_as_fast_as_itself() -> None:
    assert all(row.times_reference == 1 for row in bench_scan(SMALL)[:2])


def test_all_paths_compute_the_same() -> None:
    assert all(row.relative_error < 1e-5 for row in bench_scan(SMALL))


def test_updates_are_counted_over_all_axes() -> None:
    assert ScanProblem(2, 3, 5, 7).updates == 210
    row = bench_scan(SMALL)[0]
    assert row.updates_per_second * row.seconds == pytest.approx(SMALL.updates)


def test_a_missing_package_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with caplog.at_level(logging.WARNING):
        rows = bench_scan(SMALL)
    assert "mambapy" not in {row.path for row in rows}
    assert "mambapy is not installed" in caplog.text


def test_it_can_be_cancelled() -> None:
    with pytest.raises(Cancelled):
        bench_scan(SMALL, cancel=lambda: True)


def test_progress_names_the_path() -> None:
    said: list[tuple[float, str]] = []
    bench_scan(SMALL, progress=lambda share, message: said.append((share, message)))
    assert said[0] == (0.0, "measuring the selective scan: reference")


def test_memory_is_counted_until_it_is_freed() -> None:
    x = torch.ones(1000)
    with TorchMemory() as made:
        a = x + 1
        b = (a * 2).sum()  # the product is freed at once
        view = a[10:]
    assert made.peak == 4000 + 4000 + 4
    assert made.held == 4000 + 4
    assert view.untyped_storage().data_ptr() == a.untyped_storage().data_ptr()
    assert b > 0
