"""What training is timed beside: the usual layers compute the same as ours, in batches of random order."""

import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
from samples import tagged_examples, tiny_recipe
from training_speed import plan_randomly, run_packed

from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.tasks import TaggingTask
from nlp_lstm.training.loop import train


def test_packed_layers_equal_ours():
    torch.manual_seed(0)
    network = Recurrent("lstm", 5, 4, num_layers=2, is_bidirectional=True).eval()
    inputs, lengths = torch.randn(3, 7, 5), torch.tensor([7, 2, 5])
    found = run_packed(network, inputs, lengths, need_states=False)
    torch.testing.assert_close(found.outputs, network(inputs, lengths).outputs, atol=1e-6, rtol=0)


def test_training_goes_through_batches_in_random_order(tmp_path, monkeypatch):
    examples = list(tagged_examples())
    recipe = tiny_recipe()
    task = TaggingTask.prepare(recipe.model, examples)
    plan_randomly(task)
    batches = task.plan_epoch(examples, 60, seed=1, epoch=0)
    assert sorted(row for batch in batches for row in batch) == list(range(len(examples)))
    assert len({len(batch) for batch in batches[:-1]}) == 1
    planned, plan = [], task.plan_epoch
    monkeypatch.setattr(task, "plan_epoch", lambda *given, **options: planned.append(1) or plan(*given, **options))
    train(task, examples, examples[:2], recipe.training, tmp_path)
    assert planned
