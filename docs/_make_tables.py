"""Make the tables of trained networks anew: ``python docs/_make_tables.py``.

They come from ``weights/scores``, which ``python weights/_score.py RUN DATASET...`` writes, and from
``weights/scores/corrupted``, where ``effseg evaluate MODEL DATASET --corrupt --json FILE`` was told to
write. Each stands in its page between two comments; a run that was not scored has no row.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCORES = ROOT / "weights" / "scores"

Row = dict[str, Any]
Rows = dict[str, str]
"""Name of a run, and what it is called in the table."""

HOUR: Rows = {
    "hippocampus-slim-unetr": "Slim UNETR, 0.5 mm",
    "hippocampus-segresmamba": "SegResMamba",
    "hippocampus-lightm-unet-hour": "LightM-UNet",
    "hippocampus-segresnet": "SegResNet (MONAI)",
    "hippocampus-dynunet": "DynUNet as nnU-Net plans it (MONAI)",
}
RECIPES: Rows = {
    "hippocampus-slim-unetr-ours": "Slim UNETR, ours",
    "hippocampus-slim-unetr-paper": "Slim UNETR, its paper's",
    "hippocampus-segresmamba-ours": "SegResMamba, ours",
    "hippocampus-segresmamba-paper": "SegResMamba, its paper's",
    "hippocampus-lightm-unet-ours": "LightM-UNet, ours",
    "hippocampus-lightm-unet-paper": "LightM-UNet, its paper's",
    "left-ventricle-hrmedseg-ours": "HRMedSeg, ours (left ventricle)",
    "left-ventricle-hrmedseg-paper": "HRMedSeg, its paper's (left ventricle)",
    "left-ventricle-hrmedseg-multiscale": "HRMedSeg, ours, `multiscale` on (left ventricle)",
}
PICTURES: Rows = {
    f"{structure}-{network}": f"{words}: {name}"
    for structure, words in {
        "left-ventricle": "left ventricle",
        "nuclei": "nuclei",
        "retinal-vessels": "retinal vessels",
    }.items()
    for network, name in {
        "hrmedseg": "HRMedSeg",
        "lightm-unet": "LightM-UNet 2D",
        "unet": "plain U-Net",
    }.items()
}
CORRUPTIONS = ("noise", "blur", "bias-field", "low-resolution")


def runs_table(names: Rows) -> str:
    """Tabulate runs: what they took, and their scores on each test split."""
    found = [(words, _read(SCORES / f"{name}.json")) for name, words in names.items()]
    rows = [(words, run, test) for words, run in found if run is not None for test in run["tests"]]
    several = len({test["dataset"] for _, _, test in rows}) > 1
    objects = any(test["ap50"] is not None for _, _, test in rows)
    head = ["network", *(["test set"] if several else []), "M parameters", "steps", "minutes of a core"]
    head += ["validation Dice", "test Dice", "HD95", *(["AP50"] if objects else [])]
    lines = [_line(head), _line(["---"] * len(head))]
    for words, run, test in rows:
        minutes = run["core_minutes"]
        cells = [words, *([test["dataset"]] if several else []), f"{run['parameters'] / 1e6:.2f}"]
        cells += [f"{run['steps']:,}", "-" if minutes is None else f"{minutes:.0f}"]
        cells += [f"{run['validation_dice']:.3f}", f"{test['dice']:.3f}", f"{test['hd95']:.2f}"]
        cells += ["-" if test["ap50"] is None else f"{test['ap50']:.3f}"] if objects else []
        lines.append(_line(cells))
    return "\n".join(lines)


def corrupted_table() -> str:
    """Tabulate what each corruption costs each model: mean Dice, or AP50 where objects are numbered."""
    head = ["model, test set", "as it is"]
    head += [f"{name}, {how}" for name in CORRUPTIONS for how in ("mild", "strong")]
    lines = [_line(head), _line(["---"] * len(head))]
    for path in sorted((SCORES / "corrupted").glob("*.json")):
        documents = json.loads(path.read_text(encoding="utf-8"))["evaluations"]
        values = {one["corruption"]: one["summary"]["mean"]["dice"]["mean"] for one in documents}
        cells = [f"`{documents[0]['model']}`, {documents[0]['dataset']}", f"{values['none']:.3f}"]
        cells += [f"{values[f'{name}-{how}']:.3f}" for name in CORRUPTIONS for how in ("mild", "strong")]
        lines.append(_line(cells))
    return "\n".join(lines)


def fill(page: Path, name: str, table: str) -> None:
    """Put a table between the comments of its name."""
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- table {name} -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)
    assert pattern.search(text), f"{page} has no place for the table {name}"
    filled = pattern.sub(lambda found: f"{found[1]}\n{table}\n\n{found[3]}", text)
    page.write_text(filled, encoding="utf-8")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _read(path: Path) -> Row | None:
    found: Row | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


if __name__ == "__main__":
    training = ROOT / "docs" / "training.md"
    for name, rows in {"hour": HOUR, "recipes": RECIPES, "pictures": PICTURES}.items():
        fill(training, name, runs_table(rows))
    fill(ROOT / "docs" / "measuring.md", "corrupted", corrupted_table())
