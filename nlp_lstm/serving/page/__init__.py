"""The page of a server: its models in a browser. Needs the extra ``page``, and is made when it is first asked for.

A request of the page goes through `guard` and `gate` (what may be asked, bounded), Gradio, `tabs` (which box asks what)
and `asking`, which asks the models as requests of programs are; `words` and `pictures` turn answers into HTML.
"""
