"""Troubleshooting: faults of data, network and training, each with its evidence and a remedy."""

from nlp_lstm.doctor.examination import examine_data, examine_training
from nlp_lstm.doctor.findings import Fault, Finding, describe, doctor_section

__all__ = ["Fault", "Finding", "describe", "doctor_section", "examine_data", "examine_training"]
