"""Engines that run a network: torch, the reference, ONNX Runtime, and a compiled kernel; and the exporter of graphs."""
