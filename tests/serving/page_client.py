"""Asks the page of a server with two bundled models, and prints what came. A process of its own: Gradio leaves an event
loop unclosed, and warnings are errors in tests.
"""

import asyncio
import json
import logging

from samples import bundled_model
from serving_client import serving

from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.logs import write_logs

API = "/page/gradio_api"


async def main():
    """Open the page, ask what it asks, and once what it does not."""
    models = {bundled_model("pos-en"): ["pos"], bundled_model("sentiment-en"): ["sentiment", "again"]}
    async with serving(models, has_page=True, limits=ServingLimits(deadline=300)) as client:
        first = page = (await client.get("/page/")).text
        while "gradio_config" not in page:
            await asyncio.sleep(0.05)
            page = (await client.get("/page/")).text
        config = (await client.get("/page/config")).json()
        number = next(one["id"] for one in config["dependencies"] if one["api_name"] == "tag")

        async def ask(session, *values):
            body = {"data": values, "fn_index": number, "session_hash": session}
            assert (await client.post(f"{API}/queue/join", json=body)).status_code == 200
            return (await client.get(f"{API}/queue/data?session_hash={session}")).text

        found = {
            "first": first,
            "page": page,
            "config": config,
            "right": await ask("a", "pos", "Dogs bark."),
            "wrong": await ask("b", "a confidential model", "Dogs bark."),
        }
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    write_logs()
    logging.captureWarnings(True)
    asyncio.run(main())
