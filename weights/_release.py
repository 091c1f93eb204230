"""Ship a finished run: measure it on the test split, and put weights and card where the package finds them.

    python weights/_release.py RUN_FOLDER DATASET_FOLDER [DATASET_FOLDER ...]

The run folder is one that ``effseg train`` made. Weights are stored in half precision when that costs less
than 0.0005 of the mean Dice on the validation splits; the temperature of doubt is fitted on these; the card
gets the accuracy of the very file that ships on each test split, the command that measures it again, and time
and memory on this machine's CPU.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file

from napari_effseg import UnknownModel, Volume, load, segment
from napari_effseg.engine import fit_temperature
from napari_effseg.evaluation import Evaluation, EvaluationOptions, evaluate
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training.data import load_cases
from napari_effseg.training.datasets import cases_of
from napari_effseg.training.validate import whole_volume_logits
from napari_effseg.zoo import Card, find_card, read_card, write_card
from napari_effseg.zoo.card import Accuracy, Performance
from napari_effseg.zoo.weights import build_network, describe_weights, load_network, save_weights

ROOT = Path(__file__).resolve().parents[1]
NEGLIGIBLE_DICE = 0.0005
METRICS = {"dice": "dice", "hd95_mm": "hausdorff95_mm", "nsd": "surface_dice"}


def release(run: Path, datasets: Sequence[Path]) -> None:
    """Write ``weights/<name>.safetensors`` and ``napari_effseg/zoo/cards/<name>.toml``."""
    card = _as_it_ships(read_card(next(path for path in run.glob("*.toml") if path.name != "config.toml")))
    with tempfile.TemporaryDirectory() as temporary:
        full = _stored(card, run, Path(temporary) / "full", torch.float32)
        half = _stored(card, run, Path(temporary) / "half", torch.float16)
        validated = [_dice(stored, datasets) for stored in (full, half)]
        chosen = half if validated[0] - validated[1] < NEGLIGIBLE_DICE else full
        output = dataclasses.replace(chosen.output, doubt_temperature=_temperature(chosen, datasets))
        chosen = dataclasses.replace(chosen, output=output)
        tested = [evaluate(chosen, dataset, EvaluationOptions(split="test")) for dataset in datasets]
        shipped = dataclasses.replace(
            chosen,
            accuracy=tuple(
                row
                for found, dataset in zip(tested, datasets, strict=True)
                for row in _accuracy(chosen, found, dataset)
            ),
            performance=(_in_new_process(chosen, datasets[0]),),
        )
        shutil.copyfile(chosen.path.parent / chosen.weights.file, ROOT / "weights" / chosen.weights.file)
        write_card(shipped, ROOT / "napari_effseg" / "zoo" / "cards" / f"{card.name}.toml")
    means = ", ".join(f"{found.over_cases('dice').mean:.4f} ({found.dataset})" for found in tested)
    sys.stdout.write(
        f"validation Dice {validated[0]:.4f} in float32, {validated[1]:.4f} in float16; "
        f"test Dice {means}; temperature {output.doubt_temperature}\n"
    )


def _as_it_ships(card: Card) -> Card:
    """Keep what no training decides: what is said of the model, and how its structure is found."""
    try:
        shipped = find_card(card.name)
    except UnknownModel:
        return card
    kept = ("title", "summary", "intended_use", "limits", "field_of_view", "locate")
    window = dataclasses.replace(card.window, multiples=shipped.window.multiples)
    return dataclasses.replace(card, window=window, **{name: getattr(shipped, name) for name in kept})


def _dice(card: Card, datasets: Sequence[Path]) -> float:
    """Mean Dice over the validation cases of all data sets."""
    options = EvaluationOptions(split="validation")
    found = [evaluate(card, dataset, options) for dataset in datasets]
    cases = sum(len(one.cases) for one in found)
    return sum(one.over_cases("dice").mean * len(one.cases) for one in found) / cases


def _temperature(card: Card, datasets: Sequence[Path]) -> float:
    """Temperature at which the probabilities fit the validation split best, over all voxels."""
    network, device = load_network(card), torch.device("cpu")
    logits, truth = [], []
    files = cases_of([read_dataset(dataset) for dataset in datasets], "validation")
    for case in load_cases(files, card, None, None):
        with torch.inference_mode():
            logits.append(whole_volume_logits(network, case.image, card, device).flatten(1))
        truth.append(case.target.flatten())
    return round(fit_temperature(torch.cat(logits, dim=1), torch.cat(truth), card.output), 2)


def _stored(card: Card, run: Path, folder: Path, dtype: torch.dtype) -> Card:
    """Store the run's weights in a precision, with a card beside them."""
    folder.mkdir()
    path = folder / card.weights.file
    metadata = {"network": card.network, "constructor": card.constructor}
    save_weights(load_file(run / card.weights.file), path, metadata, dtype=dtype)
    weights = describe_weights(path, licence=card.weights.licence, parameters=_parameters(card))
    training = dataclasses.replace(card.training, config=f"weights/configs/{card.name}.toml")
    written = write_card(
        dataclasses.replace(card, weights=weights, training=training), folder / f"{card.name}.toml"
    )
    return read_card(written)


def _parameters(card: Card) -> int:
    return sum(value.numel() for value in build_network(card).parameters())


def _accuracy(card: Card, found: Evaluation, dataset: Path) -> tuple[Accuracy, ...]:
    command = f"effseg evaluate {card.name} {dataset.name} --split test"
    names = found.labels | card.label_names  # the card's, where the data set calls a structure otherwise
    labels: list[tuple[str, int | None]] = [("mean", None), *((names[n], n) for n in found.labels)]
    rows = []
    for metric, attribute in METRICS.items():
        for name, label in labels:
            spread = found.over_cases(attribute, label)
            rows.append(
                Accuracy(
                    dataset=found.dataset,
                    split="test",
                    cases=len(found.cases),
                    metric=metric,
                    label=name,
                    mean=round(spread.mean, 4),
                    std=round(spread.std, 4),
                    command=command,
                )
            )
    if found.ap50 is not None:
        name = names[next(iter(found.labels))]
        mean, std = round(found.ap50.mean, 4), round(found.ap50.std, 4)
        rows.append(Accuracy(found.dataset, "test", len(found.cases), "ap50", name, mean, std, command))
    return tuple(rows)


def _size(volume: Volume, card: Card) -> str:
    """Size of an image in words; pictures of a card without a spacing have pixels, and no mm."""
    if card.dimensions == 2 and card.input.spacing is None and volume.shape[2] == 1:
        return f"{volume.shape[0]} x {volume.shape[1]} pixels"
    spacing = " x ".join(f"{side:g}" for side in sorted(set(volume.spacing)))
    return f"{' x '.join(map(str, volume.shape))} voxels at {spacing} mm"


def _in_new_process(card: Card, dataset: Path) -> Performance:
    """Measure where nothing else has been held, which a process's high-water mark would remember."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_performance, card, dataset).result()


def _performance(card: Card, dataset: Path) -> Performance:
    """Time one case warm and take the median; the peak is that of the process, torch included."""
    volume = load(read_dataset(dataset).split("test")[0].images[0])
    reports = [segment(volume, card, device="cpu").report for _ in range(5)]
    seconds = sorted(report.seconds for report in reports)[len(reports) // 2]
    return Performance(
        device=f"CPU, {torch.get_num_threads()} threads",
        case=f"{_size(volume, card)}, whole",
        seconds=round(seconds, 2),
        peak_memory_mb=round(max(report.peak_memory_bytes for report in reports) / 1e6),
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    release(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
