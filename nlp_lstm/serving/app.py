"""The application: routes, their models for OpenAPI, and how it starts and stops.

POST /v1/NAME       what `Pipeline.predict` takes and gives, of the model or task NAME
GET  /v1            the models
GET  /healthz       200 while the process serves
GET  /readyz        200 once every model is open, else 503
GET  /metrics       Prometheus
GET  /openapi.json  OpenAPI
GET  /page/         the page, where it is asked for; / leads there
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from nlp_lstm.serving.body import BodyReader, read_json
from nlp_lstm.serving.guard import OPEN_PATHS, PAGE, RECORD, Guard, Record
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.metrics import ServerMetrics
from nlp_lstm.serving.models import ServedModel
from nlp_lstm.serving.page.gate import Page
from nlp_lstm.serving.page.reports import Reports
from nlp_lstm.serving.refusals import RefusedError
from nlp_lstm.serving.shapes import ItemError, result_type

VERSION = "1"
_REASONS = {
    401: "The token is missing or wrong.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "The request, or its one input, is not valid; the reason says why.",
    429: "Too much waits; Retry-After says when to try again.",
    500: "The model failed.",
    503: "The model is being opened, or the server is stopping.",
    504: "No answer before the deadline.",
}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0062a3"/>'
    '<path d="M9 23V9m0 4a7 7 0 0 1 14 3v7" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round"/></svg>'
)
_PATHS = ("/v1", "/metrics", "/openapi.json", *OPEN_PATHS)


def create_app(
    models: Mapping[Path, Sequence[str]],
    *,
    limits: ServingLimits | None = None,
    token: str | None = None,
    on_failure: Callable[[Exception], None] = lambda error: None,
    has_page: bool = False,
    reports: Path | None = None,
) -> FastAPI:
    """Return the application of a server.

    Args:
        models: model folders, each with the names that it is served as.
        limits: the bounds; default those of `ServingLimits`.
        token: what requests have to bear; None where anybody may ask.
        on_failure: told why a model cannot be opened.
        has_page: whether there is a page; it needs Gradio once it is asked for.
        reports: the folder of runs whose reports the page shows.

    Raises:
        CheckpointError: a folder is no model.
    """
    limits = limits or ServingLimits()
    metrics = ServerMetrics()
    served = [ServedModel(names, folder, limits, metrics.of_model(names[0])) for folder, names in models.items()]
    page = _make_page(served, limits, reports) if has_page else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening = [asyncio.ensure_future(model.open(on_failure)) for model in served]
        yield
        if page is not None:
            await page.close()
        await asyncio.gather(*opening)
        await asyncio.gather(*(model.close() for model in served))

    app = FastAPI(
        title="nlp_lstm",
        version=VERSION,
        summary="Recurrent networks for text",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
    )
    reader = BodyReader(limits)
    for model in served:
        for name in model.names:
            _add_route(app, f"/v1/{name}", model, reader)
    _add_own_routes(app, served, metrics)
    if page is not None:
        app.mount(PAGE, page)
        for path, answer in {"/": _lead_to_page, "/favicon.ico": _show_icon, "/manifest.json": _show_manifest}.items():
            app.add_api_route(path, answer, include_in_schema=False)
    app.openapi = lambda: _openapi(app, has_token=token is not None)  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _not_found(served))
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(
        Guard,
        token=token,
        limits=limits,
        by_path={f"/v1/{name}": model for model in served for name in model.names},
        routes=frozenset(_PATHS),
        metrics=metrics,
    )
    return app


def _make_page(served: Sequence[ServedModel], limits: ServingLimits, reports: Path | None) -> Page:
    """Return the page, which is made when it is first asked for."""
    found = Reports(reports)

    def make() -> FastAPI:
        from nlp_lstm.serving.page.asking import Asker
        from nlp_lstm.serving.page.blocks import make_page
        from nlp_lstm.serving.page.functions import PageFunctions

        asker = Asker({model.name: model for model in served}, limits)
        return make_page(PageFunctions(asker, found))

    return Page(make, limits, found)


async def _lead_to_page() -> Response:
    return RedirectResponse(f"{PAGE}/")


async def _show_icon() -> Response:
    return Response(_ICON, media_type="image/svg+xml")


async def _show_manifest() -> dict[str, Any]:  # browsers ask for it, as Gradio's page names it
    return {"name": "nlp_lstm", "start_url": f"{PAGE}/", "display": "browser"}


def _add_route(app: FastAPI, path: str, model: ServedModel, reader: BodyReader) -> None:
    """Add the route of a model. The body is read here, so that it is bounded, and the answer is JSON already."""

    async def predict(request: Request) -> Response:
        record: Record = request.scope[RECORD]
        try:
            body = await reader.read(request.scope, request.receive, record.deadline)
            values = read_json(request.scope, body)
            status, content, record.num_texts = await model.answer(values, record.deadline)
        except RefusedError as refusal:
            return Response(refusal.body, refusal.status, refusal.headers, "application/json")
        return Response(content, status, media_type="application/json")

    schema = model.request_type.model_json_schema(ref_template="#/components/schemas/{model}")
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    app.add_api_route(
        path,
        predict,
        methods=["POST"],
        summary=f"Predict with {model.name}",
        description="Takes the arguments of `Pipeline.predict` by name. One input gives one result, a list a list of "
        'results, where an input that is at fault has `{"error": …}`.',
        operation_id=f"predict-{path.rpartition('/')[2]}",
        tags=[model.name],
        response_model=result_type(model.config.task),
        responses={status: {"model": ItemError, "description": reason} for status, reason in _REASONS.items()},
        openapi_extra={"requestBody": body},
    )


def _add_own_routes(app: FastAPI, served: Sequence[ServedModel], metrics: ServerMetrics) -> None:
    async def list_models() -> list[dict[str, Any]]:
        return [
            {
                "names": list(model.names),
                "task": model.config.task,
                "language": model.config.language,
                "is_ready": model.is_ready,
            }
            for model in served
        ]

    async def is_up() -> dict[str, str]:
        return {"status": "up"}

    async def is_ready() -> Response:
        waiting = [model.name for model in served if not model.is_ready and model.failure is None]
        failed = [model.name for model in served if model.failure is not None]
        content = {"status": "failed" if failed else "opening" if waiting else "ready", "missing": failed + waiting}
        return JSONResponse(content, 503 if content["missing"] else 200)

    async def show_metrics() -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.add_api_route("/v1", list_models, summary="The models")
    app.add_api_route("/healthz", is_up, summary="Whether the process serves")
    app.add_api_route("/readyz", is_ready, summary="Whether every model is open", response_class=JSONResponse)
    app.add_api_route("/metrics", show_metrics, summary="For Prometheus", response_class=Response)


def _openapi(app: FastAPI, *, has_token: bool) -> dict[str, Any]:
    """Return the OpenAPI document, made at the first time."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        if has_token:
            made.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            made["security"] = [{"token": []}]
        app.openapi_schema = made
    return app.openapi_schema


Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


def _not_found(served: Sequence[ServedModel]) -> Handler:
    """What answers a wrong path or method."""
    names = ", ".join(f"/v1/{name}" for model in served for name in model.names)

    async def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        reason = f"nothing is here; there are {names}" if status == 404 else f"{request.method} is not for this path"
        return JSONResponse({"error": reason}, status, headers)

    return answer


async def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the server failed; its log says where"}, 500)
