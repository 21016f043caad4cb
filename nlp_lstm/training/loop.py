"""The training loop.

Batches hold a budget of tokens, are made of sentences of nearly equal length, and run padded, under bfloat16 where the
processor has it: that is the fast path of the recurrent kernels. The weights that count are an exponential moving
average, evaluated on the development data; the best ones are kept.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from pydantic import Field
from rich.console import Console
from torch import Tensor, nn

from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.nn.precision import check_bf16, has_fast_bf16
from nlp_lstm.nn.sensitivity import recorded_inputs
from nlp_lstm.nn.transfer import parameters_by_depth
from nlp_lstm.settings import Settings
from nlp_lstm.tasks import Task
from nlp_lstm.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from nlp_lstm.training.interrupt import InterruptFlag
from nlp_lstm.training.memory import measure_memory
from nlp_lstm.training.optim import (
    WeightAverage,
    learning_rate_factor,
    learnt_tensors,
    make_optimizer,
    should_start_average,
)
from nlp_lstm.training.processes import Processes
from nlp_lstm.training.tracking import Tracker

CHECKPOINT_NAME = "checkpoint.safetensors"
SECONDS_BETWEEN_CHECKPOINTS = 30.0
STEPS_BETWEEN_RECORDS = 20


class TrainingSettings(Settings):
    """How a model is trained."""

    tokens: int = Field(4_000_000, ge=1)
    """Training length: real tokens seen, over all epochs. The same number takes the same time on any data."""
    epochs: int = Field(0, ge=0)
    """At most this many times through the data, so that little data does not train for long; 0 for no such bound."""
    seed: int = Field(1, ge=0, lt=2**63)
    """Of the weights, the dropout and the order of the batches."""
    batch_tokens: int = Field(1_000, ge=1)
    """Tokens per batch, padding included."""
    optimizer: Literal["adamw", "nt-asgd"] = "adamw"
    """AdamW; or plain gradient descent whose weights are averaged from the first time that the development score has
    not improved for five evaluations (NT-ASGD, Merity et al. 2018)."""
    learning_rate: float = Field(2e-3, gt=0)
    """At its highest; for nt-asgd some 10 to 30."""
    warmup_steps: int = Field(100, ge=0)
    """Steps until the full learning rate; from there that of AdamW falls to zero as half a cosine."""
    weight_decay: float = Field(0.0, ge=0)
    """Of the weights in each step, times the learning rate."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Each layer learns at this share of the rate of the one above it, the embedding last; below 1 for networks that
    begin as language models (discriminative fine-tuning, Howard and Ruder 2018)."""
    unfreeze_steps: int = Field(0, ge=0)
    """Steps after which one layer more is learnt, from the head down (gradual unfreezing); 0 learns all at once."""
    clip_norm: float = Field(1.0, gt=0)
    """Gradients with a larger norm are scaled down to it (Pascanu et al. 2013)."""
    average_decay: float = Field(0.998, ge=0, lt=1)
    """Of AdamW's moving average of the weights; 0 keeps the last weights."""
    evaluations: int = Field(10, ge=1)
    """How many times the development data is evaluated, evenly over the run."""
    patience: int = Field(5, ge=1)
    """Training stops after this many evaluations without a better development score; nt-asgd not before it averages."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the matrix products in training; auto takes bf16 where the processor has instructions for it."""
    threads: int = Field(0, ge=0)
    """Processor threads; 0 takes all cores. Results are the same for the same number of threads."""
    device: Literal["cpu", "auto"] = "cpu"
    """cpu, or auto for whatever Accelerate finds."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What training leaves.

    Args:
        model: the network with its best weights.
        history: what was recorded, one dictionary a record.
        best_score: the best development score.
        seconds: time spent.
        tokens: real tokens seen.
        used_bf16: whether products ran in bfloat16.
    """

    model: nn.Module
    history: list[dict[str, Any]]
    best_score: float
    seconds: float
    tokens: int
    used_bf16: bool


def train(
    task: Task,
    training: Sequence[Any],
    development: Sequence[Any],
    settings: TrainingSettings,
    folder: Path,
    *,
    should_resume: bool = False,
    console: Console | None = None,
    description: str = "training",
) -> TrainingResult:
    """Train a task's network.

    Args:
        task: what is solved; its vocabularies are ready.
        training: examples to learn from.
        development: examples that choose the best weights.
        settings: how.
        folder: where the checkpoint, the log and the TensorBoard events go.
        should_resume: go on from the folder's checkpoint, if there is one.
        console: where to print; None prints nothing.
        description: in front of the progress bar.

    Returns:
        The trained network and the record of the run.

    Raises:
        ConfigError: the network cannot be built, or not trained in the given precision here, or training diverges.
        CheckpointError: the folder's checkpoint belongs to another run or is damaged.
        DataError: there is no example to learn from.
        KeyboardInterrupt: Ctrl-C; a checkpoint has been written.
    """
    run = _Run(task, training, development, settings, folder)
    if run.processes.agree(should_resume and run.checkpoint.is_file()):
        run.resume()
    tracker = Tracker(folder, run.tokens, description=description, console=console, done_tokens=run.state.tokens)
    with tracker, InterruptFlag() as interrupt:
        for note in run.notes:
            tracker.say(note)
        for _ in run.steps(tracker):
            if run.processes.add(interrupt.is_set)[0]:
                run.save()
                tracker.say(f"stopped at {run.state.tokens:,} tokens; with --resume the same command goes on from here")
                raise KeyboardInterrupt
    return run.result()


class _Run:
    """A training run under way: everything that the next step depends on."""

    def __init__(
        self, task: Task, training: Sequence[Any], development: Sequence[Any], settings: TrainingSettings, folder: Path
    ) -> None:
        torch.manual_seed(settings.seed)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        if settings.precision == "bf16":
            check_bf16()
        self.task, self.settings = task, settings
        folder.mkdir(parents=True, exist_ok=True)
        self.training, self.development = task.encode(training, folder), task.encode_development(development)
        if not len(self.training):
            raise DataError(
                "there is no example to learn from: give at least one (phrases alone, without sentences, "
                "are learnt with model.phrases=apart)"
            )
        self.checkpoint = folder / CHECKPOINT_NAME
        self.use_bf16 = settings.precision == "bf16" or (settings.precision == "auto" and has_fast_bf16())
        self.accelerator = Accelerator(cpu=settings.device == "cpu")
        self.processes = Processes(self.accelerator)
        try:
            model = task.build_model()
        except (RuntimeError, OverflowError) as error:  # torch's own words on absurd sizes
            raise ConfigError(f"the network cannot be built: {str(error).splitlines()[0]}") from error
        task.fill_model(model)
        by_depth = settings.layer_decay < 1 or settings.unfreeze_steps
        self.groups = parameters_by_depth(model) if by_depth else [list(model.parameters())]
        optimizer = make_optimizer(settings.optimizer, self.groups, settings.learning_rate, settings.weight_decay)
        self.model = self.accelerator.prepare_model(model, evaluation_mode=True)  # gradients are added up here
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self.average = WeightAverage(self.model)
        self.best: dict[str, Tensor] = {}
        self.carried: dict[str, Tensor] = {}
        self.notes: list[str] = []
        self.tokens = settings.tokens
        if settings.epochs:
            self.tokens = min(self.tokens, settings.epochs * task.num_tokens(self.training))
        self.interval = max(1, self.tokens // settings.evaluations)
        self.state = TrainingState(
            fingerprint=self._fingerprint(model),
            machine=self._machine(),
            num_processes=self.processes.count,
            next_evaluation=self.interval,
        )

    @property
    def is_done(self) -> bool:
        """Whether the tokens are used up or patience is."""
        is_average_due = self.settings.optimizer == "nt-asgd" and not self.state.average_start
        is_hopeless = self.state.evaluations_since_best >= self.settings.patience and not is_average_due
        return is_hopeless or self.state.tokens >= self.tokens

    def resume(self) -> None:
        """Go back to the checkpoint, which the first process has.

        Raises:
            CheckpointError: it is damaged, belongs to another run, or was begun by fewer or more processes.
        """
        processes = self.processes
        content = processes.agree(self.checkpoint.read_bytes() if processes.rank == 0 and processes.count > 1 else b"")
        if processes.rank:
            self.checkpoint.write_bytes(content)
        self.state, self.best, self.carried = load_checkpoint(
            self.checkpoint, self.state.fingerprint, self.model, self.optimizer, self.average
        )
        if self.state.num_processes != processes.count:
            raise CheckpointError(
                f"{self.checkpoint} was begun by {self.state.num_processes} processes, here are {processes.count}; "
                "resume with as many"
            )
        if processes.count > 1:
            own = f"{processes.rank}/"
            states = self.carried.items()
            self.carried = {name.removeprefix(own): tensor for name, tensor in states if name.startswith(own)}
        if self.state.machine != self._machine():
            self.notes.append(
                f"note: begun on {self.state.machine}, goes on on {self._machine()}; the weights will differ a little "
                "from those of a run without a stop"
            )
            self.state.machine = self._machine()

    def save(self) -> None:
        """Write the checkpoint; all processes do it at the same step."""
        carried = self.carried
        if self.processes.count > 1:
            states = self.processes.gather(carried)
            carried = {f"{rank}/{name}": tensor for rank, part in enumerate(states) for name, tensor in part.items()}
        save_checkpoint(
            self.checkpoint, self.state, self.model, self.optimizer, self.average, best=self.best, carried=carried
        )

    def steps(self, tracker: Tracker) -> Iterator[int]:
        """Train until done; yield after each step, when a checkpoint can be written."""
        state, settings = self.state, self.settings
        started = time.monotonic() - state.seconds
        last_saved = time.monotonic()
        meter = _Meter(state.tokens)
        while not self.is_done:
            plan = self.task.plan_epoch(self.training, settings.batch_tokens, seed=settings.seed, epoch=state.epoch)
            for part in plan[state.batch :]:
                meter.add(*self._take_step(part))
                state.seconds = time.monotonic() - started
                is_evaluation_due = state.tokens >= min(state.next_evaluation, self.tokens)
                if is_evaluation_due or state.step % STEPS_BETWEEN_RECORDS == 0:
                    record = meter.read(state, self.optimizer.param_groups[0]["lr"])
                    state.history.append(record)
                    tracker.record(state.step, record)
                    speed = f"{record['tokens_per_second']:,.0f} tokens/s"
                    tracker.advance(state.tokens, f"loss {record['loss']:.3f}  {speed}")
                if is_evaluation_due:
                    self._evaluate(tracker)
                    meter.restart(state.tokens)
                is_save_due = is_evaluation_due
                if state.step % STEPS_BETWEEN_RECORDS == 0 and not is_evaluation_due:
                    is_save_due = self.processes.agree(time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS)
                if is_save_due:
                    self.save()
                    last_saved = time.monotonic()
                yield state.step
                if self.is_done:
                    return
            state.epoch += 1
            state.batch = 0

    def _fingerprint(self, model: nn.Module) -> str:
        """A checksum of everything that the course of training depends on, the machine left out."""
        settings = [
            self.task.name,
            self.task.settings.model_dump(mode="json"),
            self.settings.model_dump(mode="json"),
            self.task.facts(),
        ]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for examples in (self.training, self.development):
            for piece in self.task.identify(examples):
                digest.update(piece)
        for name, parameter in model.named_parameters():
            digest.update(f"{name} {list(parameter.shape)}".encode())
        for tensor in model.buffers():  # what was copied in, such as pretrained vectors
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def result(self) -> TrainingResult:
        """Return the network with its best weights, and the record."""
        model = self.accelerator.unwrap_model(self.model)
        model.load_state_dict(self.best, strict=False)
        return TrainingResult(
            model=model.eval(),
            history=self.state.history,
            best_score=self.state.best_score,
            seconds=self.state.seconds,
            tokens=self.state.tokens,
            used_bf16=self.use_bf16,
        )

    def _machine(self) -> str:
        """What makes roundings differ: precision, threads and the processor's instructions."""
        precision = "bf16" if self.use_bf16 else "fp32"
        capability = torch.backends.cpu.get_cpu_capability()
        return f"{torch.get_num_threads()} threads, {precision}, {capability}"

    def _take_step(self, part: Any) -> tuple[Tensor, Tensor]:
        """Learn from one batch; return the loss in nats and the gradient's norm before clipping."""
        state, settings = self.state, self.settings
        batch, share, num_tokens = self._own_batch(part)
        factor = learning_rate_factor(
            settings.optimizer,
            state.step,
            progress=state.tokens / self.tokens,
            warmup_steps=settings.warmup_steps,
        )
        for depth, group in enumerate(self.optimizer.param_groups):
            group["lr"] = settings.learning_rate * factor * settings.layer_decay**depth
        self.model.train()
        with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.use_bf16):
            outputs = self.model(batch)
            loss = self.task.loss(self.accelerator.unwrap_model(self.model), outputs, batch)
        if self.processes.count > 1:
            loss = loss * share
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.processes.add_gradients(self.model.parameters())
        for depth, group in enumerate(self.groups):
            if state.step < depth * settings.unfreeze_steps:
                for parameter in group:
                    parameter.grad = None
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self.optimizer.step()
        state.step += 1
        state.batch += 1
        state.tokens += num_tokens
        self.carried = self.task.carry(outputs)
        self.average.update(self.model, self._average_decay())
        loss = loss.detach()
        if self.processes.count > 1:
            loss = loss.new_tensor(self.processes.add(float(loss))[0])
        return loss, norm.detach()

    def _own_batch(self, part: Any) -> tuple[Any, float, int]:
        """Return what this process learns from, its share in the loss, and the tokens of all processes."""
        processes, device = self.processes, self.accelerator.device
        if processes.count == 1:
            batch = self.task.training_batch(self.training, part, self.carried).to(device)
            return batch, 1.0, batch.num_tokens
        if processes.rank:  # dropout of its own, the same again after a stop
            torch.manual_seed(processes.rank + processes.count * (self.state.step + self.settings.seed))
        own = self.task.take_rows(part, processes.rank, processes.count)
        some = self.task.take_rows(part, 0, processes.count) if own is None else own  # idle: a row that counts nothing
        batch = self.task.training_batch(self.training, some, self.carried).to(device)
        size, tokens = (0, 0) if own is None else (self.task.loss_size(batch), batch.num_tokens)
        total, num_tokens = processes.add(size, tokens)
        return batch, size / total, int(num_tokens)

    def _evaluate(self, tracker: Tracker) -> None:
        """Score the averaged weights on the development data, and keep them if they are the best so far."""
        self.average.swap(self.model)
        with recorded_inputs(self.model) as read:
            scores = self.task.score_development(self.model, self.development, use_bf16=self.use_bf16)
        scores = self.processes.agree(scores)
        _note_scores(self.state, scores, measure_memory(self.model, read), tracker)
        is_waiting = self.settings.optimizer == "nt-asgd" and not self.state.average_start
        if is_waiting and should_start_average(self.state.scores):
            self.state.average_start = self.state.step
            self.state.evaluations_since_best = 0  # the average may well do better
            tracker.say("the weights are averaged from here on")
        if self.state.evaluations_since_best == 0:
            self.best = {name: tensor.detach().clone() for name, tensor in learnt_tensors(self.model).items()}
            self._check_best()
        self.average.swap(self.model)
        self.state.next_evaluation += self.interval

    def _check_best(self) -> None:
        """Check that the best weights are numbers: what has diverged stays so, and no time is lost on it."""
        if not all(bool(tensor.isfinite().all()) for tensor in self.best.values()):
            raise ConfigError(
                f"training has diverged: after {self.state.tokens:,} tokens weights are no finite numbers any more; "
                f"take a smaller training.learning_rate (it is {self.settings.learning_rate:g})"
            )

    def _average_decay(self) -> float:
        """The share of the old average that the next one keeps."""
        step, start = self.state.step, self.state.average_start
        if self.settings.optimizer == "adamw":
            return min(self.settings.average_decay, (step + 1) / (step + 10))  # less at first, when little was seen
        return (step - start - 1) / (step - start) if start else 0.0  # the plain mean of all weights since the start


class _Meter:
    """Means over the steps since the last record."""

    def __init__(self, tokens: int) -> None:
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self.restart(tokens)

    def restart(self, tokens: int) -> None:
        """Start the clock again at ``tokens``."""
        self._tokens, self._time = tokens, time.monotonic()

    def add(self, loss: Tensor, norm: Tensor) -> None:
        """Take in one step."""
        self._losses.append(loss)
        self._norms.append(norm)

    def read(self, state: TrainingState, learning_rate: float) -> dict[str, Any]:
        """Return the means and start anew."""
        record = {
            "step": state.step,
            "tokens": state.tokens,
            "seconds": round(state.seconds, 2),
            "loss": float(torch.stack(self._losses).mean()),
            "gradient_norm": float(torch.stack(self._norms).mean()),
            "learning_rate": learning_rate,
            "tokens_per_second": (state.tokens - self._tokens) / max(1e-9, time.monotonic() - self._time),
        }
        self._losses, self._norms = [], []
        self.restart(state.tokens)
        return record


def _note_scores(state: TrainingState, scores: dict[str, float], memory: dict[str, Any], tracker: Tracker) -> None:
    """Record the development scores, whether the decisive one, the first, is the best so far, and the net's memory."""
    decisive = next(iter(scores.values()))
    if not math.isfinite(decisive):
        decisive = -1e9
    state.scores.append(decisive)
    is_best = decisive > state.best_score
    state.best_score = max(decisive, state.best_score)
    state.evaluations_since_best = 0 if is_best else state.evaluations_since_best + 1
    record = {"step": state.step, "tokens": state.tokens, "seconds": round(state.seconds, 2)}
    record |= {f"dev_{name}": value for name, value in scores.items()} | memory
    state.history.append(record)
    tracker.record(state.step, record)
    loss = next((entry["loss"] for entry in reversed(state.history) if "loss" in entry), float("nan"))
    rate = state.tokens / max(1e-9, state.seconds)
    shown = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    tracker.say(
        f"{state.tokens:>10,} tokens  {state.seconds:6.0f} s  {rate:7,.0f} tokens/s  loss {loss:.4f}  dev {shown}"
        + ("  best" if is_best else "")
    )
