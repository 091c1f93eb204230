"""``summary.html`` and ``summary.csv``: every case on a page of its own making, failures first."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path

from ..io.atomic import Replacement, place_files, staging_path
from .results import CaseResult, LabelVolume

__all__ = ["summary_csv", "summary_html", "write_summary", "write_text"]

_HTML, _CSV = "summary.html", "summary.csv"
_THUMBNAIL = (360, 140)  # pixels; some 10 kB a case
_JPEG_QUALITY = 80
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would compute
_MOST_PIXELS = 50_000_000  # of a picture that is made small

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f23; --paper: #ffffff; --line: #d6dade; --head: #f0f3f5;
  --bad: #b3261e; --bad-paper: #fdecea; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #14171a; --line: #363c42;
  --head: #20252a; --bad: #ff8a80; --bad-paper: #33191a; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem; }
table { border-collapse: separate; border-spacing: 0; border: solid var(--line); border-width: 1px 0 0 1px; }
caption { text-align: left; padding: .35rem 0; }
td, th { border: solid var(--line); border-width: 0 1px 1px 0; padding: .35rem .6rem;
  text-align: left; vertical-align: top; }
thead th { background: var(--head); position: sticky; top: 0; z-index: 2; }
thead th:first-child { left: 0; z-index: 3; }
tbody th { background: var(--paper); position: sticky; left: 0; z-index: 1; font-weight: inherit; }
tbody th, td.words { overflow-wrap: anywhere; } tbody th { min-width: 10rem; max-width: 22rem; }
td.status { white-space: nowrap; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid; } th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.words { min-width: 15rem; max-width: 36rem; }
tr.failed > * { background: var(--bad-paper); } tr.failed td.status { color: var(--bad); font-weight: 600; }
img { display: block; max-width: min(360px, 19vw); } ul { margin: 0; padding-left: 1.1rem; }
@media (max-width: 60rem) { body { margin: .75rem; font-size: 14px; }
  tbody th { min-width: 7rem; max-width: 9rem; } td.words { min-width: 12rem; } img { max-width: 180px; } }
"""

_CAPTION = "Cases, those that failed first. The buttons in the first line sort them."
_SCRIPT = """
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.closest("th"), body = head.closest("table").tBodies[0], at = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[at].dataset.key ?? row.cells[at].textContent;
  const by = (a, b) => key(a).localeCompare(key(b), undefined, {numeric: true});
  body.append(...[...body.rows].sort((a, b) => down ? by(b, a) : by(a, b)));
});
"""


def write_summary(folder: Path, results: Sequence[CaseResult]) -> tuple[Path, ...]:
    """Write both summaries into the folder of results.

    Raises
    ------
    ExportError
        If the folder refuses.
    """
    html, table = folder / _HTML, folder / _CSV
    write_text(table, summary_csv(results))
    write_text(html, summary_html(results, folder))
    return html, table


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, or leave the older one.

    Raises
    ------
    ExportError
        If the folder refuses.
    """
    with staging_path(path) as staged:
        staged.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        place_files([Replacement(path, staged)])


def summary_csv(results: Sequence[CaseResult]) -> str:
    """Lay out a line a case, with a column for each structure's volume in mL.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    structures = _structures(results)
    writer = csv.writer(out, lineterminator="\n")
    heads = ("case", "status", "words", "model", "seconds", "attempts", "objects", "warnings", "output")
    writer.writerow([*heads, *(_no_formula(f"{name} [mL]") for name in structures)])
    for one in _failures_first(results):
        volumes = {_name(volume): volume.volume_ml for volume in one.volumes}
        texts = (one.case, one.status.value, one.words, one.model)
        writer.writerow(
            [
                *map(_no_formula, texts),
                one.seconds,
                one.attempt,
                "" if one.objects is None else one.objects,
                _no_formula("; ".join(one.warnings)),
                _no_formula(one.outputs[0] if one.outputs else ""),
                *(volumes.get(name, "") for name in structures),
            ]
        )
    return out.getvalue()


def summary_html(results: Sequence[CaseResult], folder: Path) -> str:
    """Lay out a page that needs no other file: its style, its script and its small pictures are in it.

    Parameters
    ----------
    results : sequence of CaseResult
    folder : Path
        Of the results; overlays there become small pictures.
    """
    structures = _structures(results)
    counts = any(one.objects is not None for one in results)
    pictures = {one.case: _thumbnail(one, folder) for one in results}
    heads = ["case", "status", "what", "model", "seconds"]
    heads += (
        ["objects"] * counts + [f"{name}, mL" for name in structures] + ["picture"] * any(pictures.values())
    )
    rows = [_row(one, structures, counts, pictures) for one in _failures_first(results)]
    failed = sum(not one.is_done for one in results)
    sentence = f"{len(results) - failed} of {len(results)} cases are done" + (
        f", {failed} failed." if failed else "."
    )
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash_of(_STYLE)}'; script-src '{_hash_of(_SCRIPT)}'"
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width">\n<title>effseg batch</title>',
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>effseg batch</h1>\n<p>{sentence}</p>",
            f"<table>\n<caption>{_CAPTION}</caption>\n<thead><tr>",
            *(f'<th scope="col"><button type="button">{escape(head)}</button></th>' for head in heads),
            "</tr></thead>\n<tbody>",
            *rows,
            f"</tbody>\n</table>\n</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n",
        ]
    )


def _row(one: CaseResult, structures: Sequence[str], counts: bool, pictures: dict[str, str]) -> str:
    volumes = {_name(volume): volume.volume_ml for volume in one.volumes}
    cells = [
        f'<th scope="row">{escape(one.case)}</th>',
        f'<td class="status">{escape(one.status.value)}</td>',
        f'<td class="words">{_words(one)}</td>',
        f"<td>{escape(one.model)}</td>",
        _number(one.seconds, 1),
    ]
    cells += [_number(one.objects, 0)] * counts
    cells += [_number(volumes.get(name), 2) for name in structures]
    if any(pictures.values()):
        source = pictures[one.case]
        alt = escape(f"{one.case}: image and structures", quote=True)
        cells.append(f'<td data-key=""><img alt="{alt}" src="{source}"></td>' if source else "<td></td>")
    return f'<tr class="{"done" if one.is_done else "failed"}">{"".join(cells)}</tr>'


def _words(one: CaseResult) -> str:
    attempts = [f"tried {one.attempt} times"] if one.attempt > 1 else []
    sentences = [*filter(None, [one.words]), *attempts, *one.warnings]
    if len(sentences) < 2:
        return escape("".join(sentences))
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"


def _number(value: float | None, digits: int) -> str:
    """Lay out a cell of a number, which is sorted by its exact value."""
    return (
        "<td></td>" if value is None else f'<td class="number" data-key="{value:.6f}">{value:.{digits}f}</td>'
    )


def _structures(results: Iterable[CaseResult]) -> list[str]:
    """Names of all structures, in the order in which they come."""
    return list(dict.fromkeys(_name(volume) for one in results for volume in one.volumes))


def _name(volume: LabelVolume) -> str:
    return volume.name or f"label {volume.label}"


def _failures_first(results: Sequence[CaseResult]) -> list[CaseResult]:
    return sorted(results, key=lambda one: one.is_done)  # which keeps the order otherwise


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _hash_of(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _thumbnail(one: CaseResult, folder: Path) -> str:
    """Make a small picture of a case's overlay, as a data URI; "" where there is none."""
    pictures = [folder / name for name in one.outputs if name.endswith(".png")]
    if not one.is_done or not pictures:
        return ""
    from PIL import Image

    with suppress(OSError, ValueError), Image.open(pictures[0]) as picture:
        if picture.width * picture.height > _MOST_PIXELS:
            return ""
        small = picture.convert("RGB")
        small.thumbnail(_THUMBNAIL)
        packed = io.BytesIO()
        small.save(packed, "JPEG", quality=_JPEG_QUALITY)
        return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()
    return ""
