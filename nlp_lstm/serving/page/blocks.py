"""The page as Gradio has it: theme, tabs, style and script, all from here. This module imports Gradio."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read as Gradio is imported
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from fastapi import FastAPI

from nlp_lstm.serving.guard import PAGE
from nlp_lstm.serving.page.functions import PageFunctions
from nlp_lstm.serving.page.tabs import add_tabs

logger = logging.getLogger(__name__)

MOST_WAITING = 256  # clicks that Gradio keeps; each also waits for its model like any request
MOST_SESSIONS = 200  # browsers of which Gradio remembers something
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_FIXED_FONTS = ("ui-monospace", "Menlo", "Consolas", "monospace")
_HEADER = (
    '<header class="nl-header"><h1>nlp_lstm</h1><p>Small recurrent networks that read and write, on this machine. '
    "What you type goes to this server only, and is not kept.</p></header>"
)


def make_page(functions: PageFunctions) -> FastAPI:
    """Return an application with the page at `PAGE`.

    Args:
        functions: what its boxes do.
    """
    _keep_texts_out_of_logs()
    with gr.Blocks(title="nlp_lstm", analytics_enabled=False) as blocks:
        gr.HTML(_HEADER)
        add_tabs(functions)
    blocks.queue(default_concurrency_limit=None, max_size=MOST_WAITING, api_open=False)
    blocks.state_session_capacity = MOST_SESSIONS
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    style, script = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return gr.mount_gradio_app(
        app,
        blocks,
        path=PAGE,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=_theme(),
        head=f"<style>{style}</style><script>{script}</script>",
    )


def _theme() -> Any:
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        font=_FONTS,  # names alone; Gradio's own themes load theirs from elsewhere
        font_mono=_FIXED_FONTS,
    )


class _Traceback:
    """Stands for the module traceback where Gradio prints errors, whose messages may quote a text."""

    @staticmethod
    def print_exc() -> None:
        """Log the kind and the place of the error that is being handled."""
        logger.error("the page failed", exc_info=True)


def _keep_texts_out_of_logs() -> None:
    from gradio import queueing, route_utils, routes

    for module in (queueing, route_utils, routes):
        module.traceback = _Traceback  # type: ignore[attr-defined]
