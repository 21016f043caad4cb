"""Joining, on a computation that a test can hold up."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_lstm.serving.batcher import Batcher, ClosedError, DeadlineError, QueueFullError
from nlp_lstm.serving.limits import ServingLimits, weigh


class Bench:
    """A batcher whose batches wait until `go` is set.

    Args:
        limits: of the batcher.
    """

    def __init__(self, executor, **limits):
        self.batches = []
        self.go = threading.Event()
        self.begun = threading.Event()
        limits = ServingLimits(**{"window": 0, **limits})  # an idle network begins at once
        self.batcher = Batcher(self.compute, executor=executor, limits=limits)

    def compute(self, items, key):
        self.begun.set()
        self.go.wait(10)
        self.batches.append((key, list(items)))
        if "fault" in items:
            raise ArithmeticError("a fault")
        return [f"{key}:{item}" for item in items]

    def submit(self, *items, key="a", weight=1, seconds=10.0):
        deadline = asyncio.get_running_loop().time() + seconds
        return asyncio.ensure_future(self.batcher.submit(items, [weight] * len(items), key=key, deadline=deadline))

    async def wait_until_begun(self):
        await asyncio.to_thread(self.begun.wait, 10)

    async def release(self, *asked):
        self.go.set()
        return await asyncio.gather(*asked, return_exceptions=True)


def run(scenario, **limits):
    """Run a scenario on a bench and return what it returns, and the batches."""

    async def whole():
        with ThreadPoolExecutor(1) as executor:
            bench = Bench(executor, **limits)
            try:
                return await scenario(bench), bench.batches
            finally:
                bench.go.set()

    return asyncio.run(whole())


def test_what_gathers_while_a_batch_is_computed_is_one_batch():
    async def scenario(bench):
        first = bench.submit("1")
        await bench.wait_until_begun()
        others = [bench.submit("2"), bench.submit("3", "4"), bench.submit("5")]
        await asyncio.sleep(0)
        return await bench.release(first, *others)

    answers, batches = run(scenario)
    assert answers == [["a:1"], ["a:2"], ["a:3", "a:4"], ["a:5"]]
    assert batches == [("a", ["1"]), ("a", ["2", "3", "4", "5"])]


def test_an_idle_network_waits_for_company():
    async def scenario(bench):
        bench.go.set()
        return await asyncio.gather(bench.submit("1"), bench.submit("2"))

    answers, batches = run(scenario, window=0.2)
    assert answers == [["a:1"], ["a:2"]]
    assert batches == [("a", ["1", "2"])]


def test_only_equal_keys_are_joined_and_the_oldest_goes_first():
    async def scenario(bench):
        first = bench.submit("1")
        await bench.wait_until_begun()
        others = [bench.submit("2", key="b"), bench.submit("3"), bench.submit("4", key="b"), bench.submit("5")]
        await asyncio.sleep(0)
        return await bench.release(first, *others)

    answers, batches = run(scenario)
    assert answers == [["a:1"], ["b:2"], ["a:3"], ["b:4"], ["a:5"]]
    assert batches == [("a", ["1"]), ("b", ["2", "4"]), ("a", ["3", "5"])]


def test_a_batch_is_bounded_by_weight_and_a_heavy_item_goes_alone():
    async def scenario(bench):
        first = bench.submit("1")
        await bench.wait_until_begun()
        others = [bench.submit("2", "3", "4", weight=4), bench.submit("5", weight=99), bench.submit("6", weight=2)]
        await asyncio.sleep(0)
        return await bench.release(first, *others)

    answers, batches = run(scenario, max_batch=10)
    assert answers == [["a:1"], ["a:2", "a:3", "a:4"], ["a:5"], ["a:6"]]
    assert [items for _, items in batches] == [["1"], ["2", "3", "6"], ["4"], ["5"]]


def test_without_joining_each_request_is_computed_by_itself():
    async def scenario(bench):
        first = bench.submit("1")
        await bench.wait_until_begun()
        others = [bench.submit("2"), bench.submit("3", "4"), bench.submit("5")]
        await asyncio.sleep(0)
        return await bench.release(first, *others)

    _, batches = run(scenario, joining=False)
    assert [items for _, items in batches] == [["1"], ["2"], ["3", "4"], ["5"]]


def test_a_full_queue_refuses_and_takes_again_when_it_is_not():
    async def scenario(bench):
        first = bench.submit("1")
        await bench.wait_until_begun()
        accepted = bench.submit("2", "3", "4")  # the last that is accepted may go beyond
        await asyncio.sleep(0)
        assert bench.batcher.is_full
        with pytest.raises(QueueFullError) as refused:
            await bench.submit("5")
        answers = await bench.release(first, accepted)
        return refused.value.retry_after, answers, await bench.submit("6")

    (retry_after, answers, last), batches = run(scenario, max_waiting=2)
    assert retry_after >= 1
    assert answers == [["a:1"], ["a:2", "a:3", "a:4"]]
    assert last == ["a:6"]
    assert [items for _, items in batches] == [["1"], ["2", "3", "4"], ["6"]]


def test_what_has_not_begun_by_its_deadline_is_not_computed():
    async def scenario(bench):
        first = bench.submit("1")
        await bench.wait_until_begun()
        late = bench.submit("2", seconds=0.01)
        patient = bench.submit("3")
        with pytest.raises(DeadlineError):
            await late
        assert bench.batcher.weight == 1
        return await bench.release(first, patient)

    answers, batches = run(scenario)
    assert answers == [["a:1"], ["a:3"]]
    assert [items for _, items in batches] == [["1"], ["3"]]


def test_an_answer_after_the_deadline_is_dropped():
    async def scenario(bench):
        late = bench.submit("1", seconds=0.01)
        await bench.wait_until_begun()
        with pytest.raises(DeadlineError):
            await late
        [answer] = await bench.release(bench.submit("2"))
        return answer

    answer, batches = run(scenario)
    assert answer == ["a:2"]
    assert [items for _, items in batches] == [["1"], ["2"]]


def test_what_is_cancelled_is_not_computed():
    async def scenario(bench):
        first = bench.submit("1")
        await bench.wait_until_begun()
        gone, stays = bench.submit("2"), bench.submit("3")
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        return await bench.release(first, stays)

    answers, batches = run(scenario)
    assert answers == [["a:1"], ["a:3"]]
    assert [items for _, items in batches] == [["1"], ["3"]]


def test_closing_finishes_what_was_accepted_and_takes_nothing_more():
    async def scenario(bench):
        asked = [bench.submit("1"), bench.submit("2", key="b")]
        await bench.wait_until_begun()
        closing = asyncio.ensure_future(bench.batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(ClosedError):
            await bench.submit("3")
        assert not closing.done()
        answers = await bench.release(*asked)
        await closing
        return answers

    answers, _ = run(scenario)
    assert answers == [["a:1"], ["b:2"]]


def test_a_fault_of_the_computation_reaches_who_asked_and_nobody_else():
    async def scenario(bench):
        first = bench.submit("fault")
        await bench.wait_until_begun()
        other = bench.submit("2")
        return await bench.release(first, other)

    [fault, answer], _ = run(scenario)
    assert isinstance(fault, ArithmeticError)
    assert answer == ["a:2"]


requests = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(1, 4), st.floats(0, 0.002)), max_size=30
)


@settings(max_examples=15)
@given(requests, st.booleans())
def test_every_request_gets_the_answers_to_its_own_items(asked, joining):
    async def ask(bench, number, key, count, weight, after):
        await asyncio.sleep(after)
        items = [f"{number}.{place}" for place in range(count)]
        assert await bench.submit(*items, key=key, weight=weight) == [f"{key}:{item}" for item in items]
        return count

    async def scenario(bench):
        bench.go.set()
        counts = await asyncio.gather(*(ask(bench, number, *request) for number, request in enumerate(asked)))
        assert bench.batcher.weight == bench.batcher.num_waiting == 0
        return sum(counts)

    total, batches = run(scenario, joining=joining, max_batch=8, window=0.0005)
    computed = [item for _, items in batches for item in items]
    assert len(computed) == len(set(computed)) == total


def test_weight_grows_with_the_text_and_the_sequences():
    assert [weigh(size) for size in (0, 1, 300, 301, 900)] == [1, 1, 1, 2, 3]
    assert weigh(301, 4) == 8
