"""An estimate of the electricity and CO2 of a run, by codecarbon's offline tracker.

It is an estimate: without access to the power meters of the processor, codecarbon takes the processor's
nominal power and its load, and the mean electricity mix of the country named.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .._extras import require

__all__ = ["EnergyMeter", "Spent"]


@dataclass(frozen=True)
class Spent:
    """Estimates since the last reading."""

    energy_kwh: float
    co2_kg: float


class EnergyMeter:
    """Estimate energy and CO2 while the context is open.

    Parameters
    ----------
    country : str
        Three-letter ISO code.
    folder : Path
        Where codecarbon may keep its files.

    Raises
    ------
    MissingExtra
        If codecarbon is not installed.
    """

    def __init__(self, country: str, folder: Path) -> None:
        codecarbon = require("codecarbon", "train", "the energy estimate")
        self._tracker: Any = codecarbon.OfflineEmissionsTracker(
            country_iso_code=country,
            measure_power_secs=30,
            tracking_mode="process",
            save_to_file=False,
            log_level="critical",
            output_dir=str(folder),
            allow_multiple_runs=True,
        )
        self._energy = self._co2 = 0.0

    def __enter__(self) -> EnergyMeter:
        """Begin to measure."""
        self._tracker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop measuring."""
        self._tracker.stop()

    def take(self) -> Spent:
        """Read the estimate since the last reading."""
        co2 = float(self._tracker.flush() or 0.0)
        energy = float(self._tracker._total_energy.kWh)  # codecarbon offers no public reading while it runs
        spent = Spent(energy - self._energy, co2 - self._co2)
        self._energy, self._co2 = energy, co2
        return spent
