"""The calls of MONAI Label's clients, such as its module for 3D Slicer, answered with our models.

What they know and we have not (training, active learning, saving labels) is refused. Their click models of
slices ("deepgrow") are ours that answer clicks; a click means its slice across the third axis.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from .. import __version__
from ..errors import PromptError
from ..prompts import Box, Point, Prompt
from ..protocols import ModelInfo
from ..session_state import image_sha256
from ..volume import Algorithm, LabelMap, Volume
from .held import HeldVolume
from .service import Service, model_name, service_of, user_of
from .uploads import ending_of, scratch, volume_from
from .wire import Malformed, list_of, strict_json, whole
from .work import Task

__all__ = ["OPEN_PATHS", "router"]

OPEN_PATHS = ("/auth/", "/auth/token")
"""Where a client of theirs asks for its token, which is the key."""
router = APIRouter()
_MOST_POINTS = 1000
_LONGEST_NAME = 200
_PATIENCE = 20.0
_UINT8, _UINT16 = 255, 65535


@router.get("/auth/")
async def auth() -> dict[str, Any]:
    """Say that a key is needed."""
    return {"enabled": True, "client_id": "effseg", "realm": ""}


@router.post("/auth/token")
async def token(request: Request) -> dict[str, Any]:
    """Take a key as the password of anybody, and give it back as a token."""
    async with _form(request) as form:
        password = form.get("password")
    key = password if isinstance(password, str) else ""
    request.state.check_key(key)
    return {"access_token": key, "token_type": "bearer"}


@router.get("/auth/token/valid")
async def valid(request: Request) -> dict[str, Any]:
    """Say whose token it is."""
    return {"username": user_of(request), "email": None, "name": None, "roles": ["user"]}


@router.get("/info/")
async def info(request: Request) -> dict[str, Any]:
    """Say which models there are, in MONAI Label's words."""
    service = service_of(request)
    models = await asyncio.to_thread(service.engine.models)
    labels = dict.fromkeys(label.name for model in models for label in model.labels)
    return {
        "name": "effseg",
        "description": "Efficient segmentation of medical images",
        "version": __version__,
        "labels": list(labels),
        "models": {model.name: _as_theirs(model) for model in models},
        "trainers": {},
        "strategies": {},
        "scoring": {},
        "train_stats": {},
        "datastore": _statistics(service, user_of(request)),
        "config": {},
    }


@router.get("/datastore/")
async def datastore(request: Request, output: Annotated[str, Query(max_length=16)] = "stats") -> Any:
    """List the images that this user has sent."""
    service, user = service_of(request), user_of(request)
    shelf = service.shelves.of(user)
    if output == "train":
        return []
    if output == "all":
        images = {name: {"image": {"ext": ".nii.gz", "info": {}}, "labels": {}} for name in shelf.images}
        return {"name": "effseg", "description": "images in memory", "objects": images}
    return _statistics(service, user)


@router.put("/datastore/")
async def put_image(request: Request, image: Annotated[str, Query(max_length=_LONGEST_NAME)] = "") -> Any:
    """Keep an image under a name, in memory, for an hour after its last use."""
    async with _form(request) as form:
        held = await _uploaded(form, ("file",), service_of(request))
    return {"image": service_of(request).shelves.of(user_of(request)).put(image or None, held)}


@router.delete("/datastore/")
async def remove_image(request: Request, id: Annotated[str, Query(max_length=_LONGEST_NAME)]) -> Any:
    """Forget an image."""
    service_of(request).shelves.of(user_of(request)).images.pop(id, None)
    return {}


@router.get("/datastore/image")
async def get_image(request: Request, image: Annotated[str, Query(max_length=_LONGEST_NAME)]) -> Response:
    """Give an image back, as NIfTI."""
    held = service_of(request).shelves.of(user_of(request)).get(image)
    content = await asyncio.to_thread(_as_file, held.volume, ".nii.gz")
    disposition = {"Content-Disposition": 'attachment; filename="image.nii.gz"'}
    return Response(content, media_type="application/gzip", headers=disposition)


@router.get("/datastore/image/info")
async def image_info(request: Request, image: Annotated[str, Query(max_length=_LONGEST_NAME)]) -> Any:
    """Say what is known of an image."""
    held = service_of(request).shelves.of(user_of(request)).get(image)
    return {"shape": list(held.volume.shape), "sha256": held.sha256}


@router.put("/session/")
async def create_session(request: Request) -> dict[str, Any]:
    """Keep an image, and give it a name that nobody guesses."""
    async with _form(request) as form:
        held = await _uploaded(form, ("files", "file"), service_of(request))
    name = service_of(request).shelves.of(user_of(request)).put(None, held)
    return {"session_id": name, "session_info": _session_info(name)}


@router.get("/session/{name}")
async def get_session(request: Request, name: str) -> dict[str, Any]:
    """Say that a session is there."""
    service_of(request).shelves.of(user_of(request)).get(name)
    return _session_info(name)


@router.delete("/session/{name}")
async def remove_session(request: Request, name: str) -> dict[str, Any]:
    """Forget a session."""
    shelf = service_of(request).shelves.of(user_of(request))
    shelf.get(name)
    shelf.images.pop(name, None)
    return _session_info(name)


@router.post("/infer/{model}")
async def infer(
    request: Request,
    model: str,
    image: Annotated[str, Query(max_length=_LONGEST_NAME)] = "",
    session_id: Annotated[str, Query(max_length=_LONGEST_NAME)] = "",
    output: Annotated[str, Query(max_length=16)] = "all",
) -> Response:
    """Segment an image that was sent before, or with this request."""
    service = service_of(request)
    async with _form(request) as form:
        params = _params(form)
        held = await _image(form, image, session_id, service, user_of(request))
    ending = ending_of(str(params.get("result_extension") or ".nii.gz"))
    infos = {one.name: one for one in await asyncio.to_thread(service.engine.models)}
    name = model_name(model)
    is_clicked = name in infos and infos[name].task == "promptable"
    run = _clicked if is_clicked else _automatic
    task = Task(
        user_of(request),
        lambda task: run(service, held, name, params, task),
        is_long=not is_clicked,
        holds=held,
    )
    labels = await _result(request, service.workshop.put(task))
    content = await asyncio.to_thread(_as_file, labels, ending)
    return _answer(labels, content, f"{secrets.token_hex(8)}{ending}", output)


def _as_theirs(model: ModelInfo) -> dict[str, Any]:
    is_clicked = model.task == "promptable"
    return {
        "type": "deepgrow" if is_clicked else "segmentation",
        "labels": {label.name: label.id for label in model.labels} if not is_clicked else [],
        "dimension": model.dimensions,
        "description": f"{model.title}. {model.summary} {model.accuracy}",
        "config": {},
    }


def _statistics(service: Service, user: str) -> dict[str, Any]:
    return {"total": len(service.shelves.of(user).images), "completed": 0, "label_tags": {}, "train": []}


def _session_info(name: str) -> dict[str, Any]:
    return {"name": name, "image": "", "path": "", "meta": {}, "expiry": 3600}


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    """Read a form; its files are gone afterwards."""
    try:
        form = await request.form(max_files=4, max_fields=16, max_part_size=2**20)
    except (ValueError, KeyError, AttributeError) as err:
        raise Malformed(f"the form cannot be read ({type(err).__name__})") from err
    try:
        yield form
    finally:
        await form.close()


def _params(form: FormData) -> Mapping[str, Any]:
    given = form.get("params")
    found = strict_json(given.encode("utf-8", "replace")) if isinstance(given, str) and given else {}
    if not isinstance(found, dict):
        raise Malformed("params: expected a JSON object")
    return found


async def _uploaded(form: FormData, names: Sequence[str], service: Service) -> HeldVolume:
    """Read the one file of a form."""
    files = [value for name in names for value in form.getlist(name) if isinstance(value, UploadFile)]
    if len(files) != 1:
        raise Malformed(f"{len(files)} files were sent; expected one, such as a .nii.gz")
    file = files[0]
    most = service.settings.volume_bytes
    volume = await asyncio.to_thread(volume_from, file.file, file.filename or "", most)
    return HeldVolume(volume, await asyncio.to_thread(image_sha256, volume))


async def _image(form: FormData, image: str, session: str, service: Service, user: str) -> HeldVolume:
    if isinstance(form.get("label"), UploadFile):
        raise Malformed("scribbles are not taken here; give points")
    if isinstance(form.get("file"), UploadFile) and not session:
        return await _uploaded(form, ("file",), service)
    return service.shelves.of(user).get(session or image)


async def _result(request: Request, task: Task) -> LabelMap:
    """Wait for a task; who hangs up stops it."""
    while not await task.over(_PATIENCE):
        if await request.is_disconnected():
            task.cancel()
    if task.error is not None:
        raise task.error
    assert isinstance(task.result, LabelMap)
    return task.result


def _automatic(
    service: Service, held: HeldVolume, model: str, params: Mapping[str, Any], task: Task
) -> LabelMap:
    return service.engine.segment(held.volume, model, None, task.progress, task.is_cancelled).labels


def _clicked(
    service: Service, held: HeldVolume, model: str, params: Mapping[str, Any], task: Task
) -> LabelMap:
    """Outline one object: their points and box, in the slice that they mean."""
    prompts = _prompts(params, held.volume)
    if not prompts:
        raise PromptError("no point was given; expected foreground points, or a box")
    opened = service.engine.open(held.volume, held.sha256, model, None)
    session = opened.session
    try:
        for prompt in prompts:
            session.add(prompt, shown=2)
        data = session.mask.astype(np.uint8)
    finally:
        session.close()
    name = params.get("label")
    label = name if isinstance(name, str) and name.strip() and name.isprintable() else "object"
    made_by = Algorithm(opened.model, __version__, "semiautomatic")
    return LabelMap(data, held.volume.affine, {1: label[:_LONGEST_NAME]}, made_by=made_by)


def _prompts(params: Mapping[str, Any], volume: Volume) -> list[Prompt]:
    prompts: list[Prompt] = []
    box = params.get("roi") or []
    if box:
        prompts.append(_flat_box(box, params.get("slice"), volume))
    for name, positive in (("foreground", True), ("background", False)):
        points = list_of(params.get(name) or [])
        if len(points) > _MOST_POINTS:
            raise Malformed(f"{len(points)} points were given; at most {_MOST_POINTS}")
        for point in points:
            i, j, k = (whole(value, -(2**31), 2**31, name) for value in _three(point))
            prompts.append(Point((i, j, k), positive=positive, axis=2))
    return prompts


def _three(point: object) -> list[Any]:
    found = list_of(point)
    if len(found) != 3:
        raise Malformed("a point has three whole numbers")
    return found


def _flat_box(given: object, index: object, volume: Volume) -> Box:
    """Return their box [i0, i1, j0, j1, k0, k1], clipped to the image, in one slice."""
    values = [whole(value, -(2**31), 2**31, "roi") for value in list_of(given)]
    if len(values) != 6:
        raise Malformed("roi: expected six whole numbers")
    low = [min(values[axis * 2 : axis * 2 + 2]) for axis in range(3)]
    high = [max(values[axis * 2 : axis * 2 + 2]) for axis in range(3)]
    k = (low[2] + high[2]) // 2 if index is None else whole(index, 0, 2**31, "slice")
    i, j, _ = volume.shape
    start = (min(max(low[0], 0), i - 1), min(max(low[1], 0), j - 1), k)
    stop = (max(min(high[0], i), start[0] + 1), max(min(high[1], j), start[1] + 1), k + 1)
    return Box(start, stop)


def _as_file(image: LabelMap | Volume, ending: str) -> bytes:
    """Lay an image out as a file; label maps in the smallest type that holds them."""
    from ..io import save

    with scratch() as folder:
        path = Path(folder) / f"image{ending}"
        save(_smallest(image) if isinstance(image, LabelMap) else image, path)
        return path.read_bytes()


def _smallest(labels: LabelMap) -> LabelMap:
    highest = int(labels.data.max())
    kind = np.uint8 if highest <= _UINT8 else np.uint16 if highest <= _UINT16 else np.int32
    return LabelMap(
        labels.data.astype(kind), labels.affine, labels.names, labels.colours, made_by=labels.made_by
    )


def _answer(labels: LabelMap, content: bytes, filename: str, output: str) -> Response:
    """Answer as their server does: a form of JSON and a file, or one of the two."""
    there = {label: name for label, name in labels.names.items() if label in labels.counts()}
    params = {"label_names": {name: label for label, name in there.items()}}
    if output == "json":
        return Response(json.dumps(params), media_type="application/json")
    if output == "image":
        disposition = {"Content-Disposition": f'attachment; filename="{filename}"'}
        return Response(content, media_type="application/octet-stream", headers=disposition)
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\n'
        f"Content-Type: application/json\r\n\r\n{json.dumps(params)}\r\n"
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")
