"""Troubleshooting: faults of data, network and training, each with its evidence and a remedy."""

from nlp_lstm.doctor.examination import examine_data, examine_training
from nlp_lstm.doctor.findings import Fault, Finding

__all__ = ["Fault", "Finding", "examine_data", "examine_training"]
