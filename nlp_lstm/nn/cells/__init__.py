"""Recurrent cells, one file each. Importing this package registers them all."""

from nlp_lstm.nn.cells.base import Cell, State
from nlp_lstm.nn.cells.gru import GRUCell
from nlp_lstm.nn.cells.lstm import LSTMCell, LSTMState
from nlp_lstm.nn.cells.rnn import HiddenState, RNNCell

__all__ = ["Cell", "GRUCell", "HiddenState", "LSTMCell", "LSTMState", "RNNCell", "State"]
