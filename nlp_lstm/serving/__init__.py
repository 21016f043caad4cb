"""The server, `nlp-lstm serve`: models over HTTP, their requests joined into batches. Needs the extra ``serve``.

A request goes through `guard` (token, full queue, log, metrics), `app` (routes), `body` (bounded, in time), `shapes`
(what may be asked), `inputs` (what is an item), `batcher` (waiting, joining) and, in the model's own thread, `answers`.
"""
