"""The energy estimate says nothing by itself: what is on the screen is the command's."""

import logging

from napari_effseg.training.energy import EnergyMeter


def test_the_meter_keeps_silent(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG), EnergyMeter("DEU", tmp_path) as meter:
        spent = meter.take()
    assert spent.energy_kwh >= 0
    assert [record.message for record in caplog.records if record.name == "codecarbon"] == []
