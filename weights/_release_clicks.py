"""Ship a model that answers clicks: measure it, and put weights and card where the package finds them.

    python weights/_release_clicks.py RUN_FOLDER CHOICE_DATASET [CHOICE_DATASET ...]
    python weights/_release_clicks.py --again NAME CHOICE_DATASET [CHOICE_DATASET ...]

The run folder is one that ``effseg train`` or ``effseg distill`` made; of one that has not ended the
best weights so far are taken. They are stored in half precision. The card gets the accuracy of the very
file that ships, on the sets by which it was chosen (others are in docs/click_quality.md), and time and
memory on this machine's CPU. A run whose configuration says who answers first clicks (``clicks.first``) is
joined with that model, in whose place both ship. With ``--again`` a card that ships is measured again: its
sessions have changed.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

import napari_effseg as eff
from napari_effseg import sessions
from napari_effseg.engine.device import peak_memory_bytes, resolve_device
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.evaluation.clicks import ALL, ClickOptions, Subject, evaluate_clicks
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training import read_config
from napari_effseg.training.release import draft_card, trained_on
from napari_effseg.training.solids.run import learned_from
from napari_effseg.zoo import Card, find_card, read_card, write_card
from napari_effseg.zoo.card import Accuracy, Performance
from napari_effseg.zoo.weights import build_network, describe_weights, save_weights, weights_path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {
    "dice_clicks_3": "clicks_3",
    "dice_clicks_1": "clicks_1",
    "dice_clicks_5": "clicks_5",
    "dice_box": "box",
    "dice_box_clicks_3": "box_3",
}
_FURTHER = "further."
SOLID_COLUMNS = {"dice_volume_corrections_3": "solid_3", "dice_volume_click": "solid"}
"""Of networks that carry objects through volumes."""
LICENCE = "CC-BY-SA 4.0"
"""Of the weights: the strictest of their data's licences, which the others allow."""
OPTIONS = ClickOptions(split=ALL, limit=30, objects=2, clicks=5)
SOLID_OPTIONS = ClickOptions(split=ALL, limit=12, objects=2, clicks=5, solids=True)


def release(run: Path, datasets: Sequence[Path]) -> None:
    """Write ``weights/<name>.safetensors`` and ``napari_effseg/zoo/cards/<name>.toml``."""
    with tempfile.TemporaryDirectory() as temporary:
        card, steps = _stored(run, Path(temporary))
        shipped = dataclasses.replace(
            card, accuracy=_accuracy(card, datasets), performance=_in_new_process(card)
        )
        shutil.copyfile(Path(temporary) / card.weights.file, ROOT / "weights" / card.weights.file)
        write_card(shipped, ROOT / "napari_effseg" / "zoo" / "cards" / f"{card.name}.toml")
    means = ", ".join(f"{row.metric} {row.mean:.4f}" for row in shipped.accuracy)
    times = ", ".join(f"{row.case}: {row.seconds} s" for row in shipped.performance)
    sys.stdout.write(f"best weights, after {steps} steps; {means}; {times}\n")


def measure_again(name: str, datasets: Sequence[Path]) -> None:
    """Give a card that ships the accuracy, time and memory of today."""
    card = find_card(name)
    measured = dataclasses.replace(
        card, accuracy=_accuracy(card, datasets), performance=_in_new_process(card)
    )
    write_card(measured, ROOT / "napari_effseg" / "zoo" / "cards" / f"{name}.toml")
    sys.stdout.write(", ".join(f"{row.metric} {row.mean:.4f}" for row in measured.accuracy) + "\n")


def _stored(run: Path, folder: Path) -> tuple[Card, int]:
    """Store a run's best weights in half precision, with a card beside them."""
    config = read_config(run / "config.toml")
    draft = draft_card(config)
    names = [
        config.data.folder,
        *config.data.more_folders,
        *(config.clicks.test_folders if config.clicks else ()),
        *(config.solids.test_folders if config.solids else ()),
    ]
    datasets = [read_dataset(config.resolve(name)) for name in names]
    file = f"weights/configs/{draft.name}.toml"
    if config.solids is None:
        training = trained_on(datasets, file)
    else:
        training = learned_from(datasets, file, config.solids)
    if not training.redistributable:
        sys.exit(f"{run}: trained on data that may not be passed on")
    kept = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    state = kept["best"]
    if config.clicks is not None and config.clicks.first:
        first = config.resolve(config.clicks.first)
        draft, state = _joined(find_card(first if first.is_file() else config.clicks.first), state)
    path = folder / draft.weights.file
    metadata = {"network": draft.network, "constructor": draft.constructor}
    save_weights(state, path, metadata, dtype=torch.float16)
    parameters = sum(value.numel() for value in build_network(draft).parameters())
    weights = describe_weights(path, licence=LICENCE, parameters=parameters)
    steps = max(kept["state"]["history"], key=lambda point: point["mean_dice"])["step"]
    interim = (
        f"An interim state: the best weights of a run so far, after {steps} of {config.run.steps} steps."
    )
    limits = draft.limits + ((interim,) if kept["state"]["step"] < config.run.steps else ())
    card = dataclasses.replace(draft, training=training, weights=weights, limits=limits)
    return read_card(write_card(card, folder / f"{draft.name}.toml")), steps


def _joined(first: Card, further: Mapping[str, Tensor]) -> tuple[Card, dict[str, Tensor]]:
    """Put a network that answers first clicks and one that answers all that follows into one."""
    state = {
        name: value for name, value in load_file(weights_path(first)).items() if not name.startswith(_FURTHER)
    }
    state |= {_FURTHER + name: value for name, value in further.items()}
    return dataclasses.replace(first, constructor={**first.constructor, "further": True}), state


def _accuracy(card: Card, datasets: Sequence[Path]) -> tuple[Accuracy, ...]:
    """Mean over the sets of the mean Dice of their objects, and the spread of the sets."""
    is_solid = card.dimensions == 3
    options, columns = (SOLID_OPTIONS, SOLID_COLUMNS) if is_solid else (OPTIONS, COLUMNS)
    answering = sessions.promptable_card() if is_solid else card
    subject = Subject(card.name, partial(_opened, answering, card if is_solid else None))
    found = evaluate_clicks(subject, [("choice", dataset) for dataset in datasets], options)
    sets = " ".join(dataset.name for dataset in datasets)
    command = f"effseg evaluate {answering.name} {sets} --split all --limit {options.limit} --objects 2"
    command += f" --clicks {options.clicks}" + (" --whole" if is_solid else "")
    rows = []
    for metric, column in columns.items():
        values = [getattr(one.summary, column) for one in found.sets]
        rows.append(
            Accuracy(
                dataset=" + ".join(one.dataset for one in found.sets),
                split="choice",
                cases=sum(len(one.solids if is_solid else one.objects) for one in found.sets),
                metric=metric,
                label="mean",
                mean=round(float(np.mean(values)), 4),
                std=round(float(np.std(values)), 4),
                command=command,
            )
        )
    return tuple(rows)


def _opened(card: Card, solid: Card | None, volume: eff.Volume) -> LocalSession:
    """Open a session whose networks are these, whatever is installed."""
    body = sessions.slice_body(card, "cpu")
    return LocalSession(volume, body, solid=None if solid is None else sessions.solid_body(solid, "cpu"))


def _in_new_process(card: Card) -> tuple[Performance, ...]:
    """Measure where nothing else has been held, which a process's high-water mark would remember."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_performance, card).result()


def _performance(card: Card) -> tuple[Performance, ...]:
    if card.dimensions == 3:
        return (_of_a_volume(card),)
    return _of_pictures(card)


def _of_a_volume(card: Card) -> Performance:
    """Time a ball being carried through a hundred slices, warm, the median of five."""
    i, j, k = np.ogrid[:256, :256, :100]
    ball = (i - 128) ** 2 + (j - 128) ** 2 + (2 * (k - 50)) ** 2 < 80**2
    image = (ball + 0.1 * np.random.default_rng(0).random(ball.shape)).astype(np.float32)
    with _opened(
        sessions.promptable_card(), card, eff.Volume(image, np.diag([1.0, 1.0, 2.0, 1.0]))
    ) as session:
        session.add(eff.Point((128, 128, 50)))
        seconds = []
        for _ in range(6):
            before = time.perf_counter()
            session.propagate(2)
            seconds.append(time.perf_counter() - before)
            session.undo()
            session.add(eff.Point((128, 128, 50)))  # another history: what was undone is not brought back
    return Performance(
        f"CPU, {torch.get_num_threads()} threads",
        "256 x 256 pixels, carried through 100 slices",
        round(float(np.median(seconds[1:])), 3),
        round(peak_memory_bytes(resolve_device("cpu")) / 1e6),
    )


def _of_pictures(card: Card) -> tuple[Performance, ...]:
    """Time clicks on pictures of two sizes, warm, the median of eleven."""
    rows = []
    for side in (512, 1024):
        image = np.random.default_rng(0).random((side, side, 1), np.float32)
        first, more = [], []
        for number in range(12):
            volume = eff.Volume(image + number, np.eye(4))
            with _opened(card, None, volume) as session:
                before = time.perf_counter()
                session.add(eff.Point((side // 3, side // 2)))
                first.append(time.perf_counter() - before)
                before = time.perf_counter()
                session.add(eff.Point((side // 2, side // 3), positive=False))
                more.append(time.perf_counter() - before)
        rows += [
            Performance(
                f"CPU, {torch.get_num_threads()} threads",
                f"{side} x {side} pixels, {what}",
                round(float(np.median(seconds[1:])), 3),
                round(peak_memory_bytes(resolve_device("cpu")) / 1e6),
            )
            for what, seconds in (("first click", first), ("each further click", more))
        ]
    return tuple(rows)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--again":
        measure_again(sys.argv[2], [Path(argument) for argument in sys.argv[3:]])
    else:
        release(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
