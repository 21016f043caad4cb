"""Recurrent cells, one file each. Importing this package registers them all."""

from nlp_lstm.nn.cells.base import Cell, State, States
from nlp_lstm.nn.cells.blocks import BlockLSTMCell
from nlp_lstm.nn.cells.cifg import CoupledLSTMCell
from nlp_lstm.nn.cells.gated import LSTMState
from nlp_lstm.nn.cells.gru import GRUCell
from nlp_lstm.nn.cells.layernorm import LayerNormLSTMCell
from nlp_lstm.nn.cells.lstm import LSTMCell
from nlp_lstm.nn.cells.lstm_1997 import LSTM1997Cell
from nlp_lstm.nn.cells.mingru import MinGRUCell
from nlp_lstm.nn.cells.minlstm import MinLSTMCell
from nlp_lstm.nn.cells.mogrifier import MogrifierLSTMCell
from nlp_lstm.nn.cells.peephole import PeepholeLSTMCell
from nlp_lstm.nn.cells.rnn import HiddenState, ReLURNNCell, RNNCell
from nlp_lstm.nn.cells.sru import SRUCell

__all__ = [
    "BlockLSTMCell",
    "Cell",
    "CoupledLSTMCell",
    "GRUCell",
    "HiddenState",
    "LSTM1997Cell",
    "LSTMCell",
    "LSTMState",
    "LayerNormLSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "MogrifierLSTMCell",
    "PeepholeLSTMCell",
    "RNNCell",
    "ReLURNNCell",
    "SRUCell",
    "State",
    "States",
]
