"""Rebuild the tables of docs/click_quality.md from what ``effseg evaluate ... --json`` wrote.

    python docs/_make_click_tables.py SCORES.json [SCORES.json ...] [--into PAGE]

The files may hold several models, and sets of one model may lie in several files (such as seen sets on their
test lists, the others on all lists). The first model is the one that the others are compared with. What lies
between the two marks of the page is replaced; the rest of it is left as it is.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("click_quality.md")
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
COLUMNS = {
    "clicks_1": "1 click",
    "clicks_3": "3 clicks",
    "clicks_5": "5 clicks",
    "box": "box",
    "box_3": "box + 3",
    "box_5": "box + 5",
    "auc_5": "AUC 1-5",
    "clicks_to_90": "clicks to 0.90",
    "reached_90": "reached",
    "solid": "3D: 1 click",
    "solid_3": "3D: + 3",
}
KINDS = {
    "never trained on: organ seen, scanner not": (
        "acdc_cardiac",
        "la2018_left_atrium",
        "pancreas_t2_mr",
        "wbc_cells",
    ),
    "never trained on: unseen task": ("brisc_brain_tumour", "covid_cxr_anatomy"),
}
"""Sets never trained on, by what else was: hearts, the pancreas and white blood cells in other sets. Of the
small labelled volumes the spinal cord was, the tumours were not, so they are of neither kind."""
COMPARED = ("clicks_1", "clicks_3", "box_3")
Sets = dict[str, dict[str, Any]]


def read(files: list[Path]) -> dict[str, Sets]:
    """Gather the sets of each model from all files."""
    models: dict[str, Sets] = {}
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"))
        for found in document.get("evaluations", [document]):
            for one in found["sets"]:
                known = models.setdefault(found["model"], {})
                if one["folder"] in known:
                    sys.exit(f"{file}: {one['folder']} of {found['model']} is there twice")
                known[one["folder"]] = {**one, "split": found["split"], "cap": found["clicks"]}
    return models


def mean(sets: list[dict[str, Any]], column: str) -> float | None:
    """Mean over sets, each counting alike."""
    values = [one["summary"][column] for one in sets if one["summary"][column] is not None]
    return statistics.fmean(values) if values else None


def cell(column: str, value: float | None) -> str:
    """Lay out a number."""
    if value is None:
        return "-"
    forms = {"clicks_to_90": "{:.1f}", "reached_90": "{:.0%}"}
    return forms.get(column, "{:.3f}").format(value)


def row(first: list[str], sets: list[dict[str, Any]]) -> str:
    """Lay out the means over some sets."""
    return line([*first, *(cell(column, mean(sets, column)) for column in COLUMNS)])


def line(cells: list[str]) -> str:
    """Lay out a row of a table."""
    return f"| {' | '.join(cells)} |"


def head(first: list[str], others: list[str]) -> list[str]:
    """Lay out the head of a table: words on the left, numbers on the right."""
    return [line([*first, *others]), line([*("---" for _ in first), *("--:" for _ in others)])]


def parts_of(sets: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sort sets into the groups that means are given of; pictures and volumes of each apart."""
    kinds = {2: "pictures", 3: "slices of volumes"}
    parts: dict[str, list[dict[str, Any]]] = {}
    for one in sets:
        group = one["group"] or "no group"
        parts.setdefault(f"{group}, {kinds[one['dimensions']]}", []).append(one)
        parts.setdefault(f"**{group}**", []).append(one)
    return dict(sorted(parts.items(), key=lambda part: part[0].strip("*")))


def table_of_means(models: dict[str, Sets]) -> list[str]:
    """Lay out a row for each group and model."""
    lines = head(["sets", "model"], list(COLUMNS.values()))
    names = parts_of([one for sets in models.values() for one in sets.values()])
    for part in names:
        for model, sets in models.items():
            found = parts_of(list(sets.values())).get(part, [])
            if found:
                lines.append(row([f"{part} ({len(found)})", model], found))
    for kind, folders in KINDS.items():
        for model, sets in models.items():
            if all(folder in sets for folder in folders):
                lines.append(row([f"{kind} ({len(folders)})", model], [sets[folder] for folder in folders]))
    return lines


def table_of_sets(model: str, sets: Sets) -> list[str]:
    """Lay out a row for each set of a model, and for each of its tasks where there are several."""
    lines = head(["set", "list", "objects"], list(COLUMNS.values()))
    for one in sorted(sets.values(), key=lambda one: (one["group"], one["folder"])):
        group = f"{one['group']}: " if one["group"] else ""
        lines.append(row([group + one["folder"], one["split"], str(len(one["objects"]))], [one]))
        for task in one["tasks"] if len(one["tasks"]) > 1 else []:
            count = sum(asked["task"] == task["task"] for asked in one["objects"])
            lines.append(row([f"&emsp;{task['task']}", "", str(count)], [{"summary": task}]))
    return [f"### {model}", "", *lines]


def wins(models: dict[str, Sets]) -> list[str]:
    """Say in which sets another model is better than the first."""
    first, *others = models
    lines = [
        f"- {other}, {COLUMNS[column]}: better than {first} on "
        f"{', '.join(lost_to(models[other], models[first], column)) or 'no set'}."
        for other in others
        for column in COMPARED
    ]
    return ["### Where another is better", "", *lines] if lines else []


def lost_to(theirs: Sets, ours: Sets, column: str) -> list[str]:
    """Name the sets on which they are better, with both numbers."""
    found = []
    for folder in sorted(theirs.keys() & ours.keys()):
        their, our = (sets[folder]["summary"][column] for sets in (theirs, ours))
        if their > our:
            found.append(f"{folder} ({cell(column, their)} to {cell(column, our)})")
    return found


def page_of(models: dict[str, Sets]) -> str:
    """Lay out everything between the marks."""
    caps = sorted({one["cap"] for sets in models.values() for one in sets.values()})
    said = f"Clicks to 0.90 count at most {' or '.join(map(str, caps))}."
    blocks = [["### Means", "", *table_of_means(models), "", said], wins(models)]
    blocks += [table_of_sets(model, sets) for model, sets in models.items()]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def main(files: list[Path], page: Path) -> None:
    """Replace the tables of the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{page} lacks the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{page_of(read(files))}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    given = sys.argv[1:]
    into = PAGE
    if "--into" in given:
        place = given.index("--into")
        into = Path(given[place + 1])
        del given[place : place + 2]
    if not given:
        sys.exit(__doc__)
    main([Path(file) for file in given], into)
