"""An estimate of the electricity and CO2 of a run, by codecarbon's offline tracker.

It is an estimate: without access to the power meters of the processor, codecarbon takes the processor's
nominal power and its load, and the mean electricity mix of the country named.
"""

from __future__ import annotations

import logging
import math
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
        logging.getLogger("codecarbon").setLevel(logging.ERROR)  # it speaks before it reads its own option
        self._tracker: Any = codecarbon.OfflineEmissionsTracker(
            country_iso_code=country,
            measure_power_secs=30,
            tracking_mode="process",
            output_methods=[],
            output_dir=str(folder),
            log_level="error",
            allow_multiple_runs=True,
        )
        self._taken = Spent(0.0, 0.0)

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
        """Read the estimate since the last reading; not a number where codecarbon could not measure."""
        self._tracker.stop()  # only a stopped tracker tells its energy; it goes on from where it stopped
        data = getattr(self._tracker, "final_emissions_data", None)
        self._tracker.start()
        total = Spent(math.nan, math.nan) if data is None else Spent(data.energy_consumed, data.emissions)
        spent = Spent(total.energy_kwh - self._taken.energy_kwh, total.co2_kg - self._taken.co2_kg)
        self._taken = total
        return spent
