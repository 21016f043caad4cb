"""Engines that run a network: torch, the reference, and ONNX Runtime; and the exporter of its graphs."""
