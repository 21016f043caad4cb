"""Recurrent networks for text: small, fast, inspectable models, trained on your own files, on a CPU.

Example:
    >>> from nlp_lstm import Pipeline
    >>> Pipeline("pos").predict("Please book that flight!")[1]["entity"]
    'VERB'
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_lstm.estimators import TextClassifier, TextTagger
    from nlp_lstm.evaluation.report import Report
    from nlp_lstm.pipeline import Pipeline

__version__ = "0.1.0"
__all__ = ["Pipeline", "Report", "TextClassifier", "TextTagger", "__version__"]

_HOMES = {
    "Pipeline": "nlp_lstm.pipeline",
    "Report": "nlp_lstm.evaluation.report",
    "TextClassifier": "nlp_lstm.estimators",
    "TextTagger": "nlp_lstm.estimators",
}


def __getattr__(name: str) -> Any:
    """Import the public classes when they are first asked for: torch takes seconds."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
