"""A test sees the same through the wire as in one process: layouts, identities, changes, gradients, objects, errors."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from warm_grader import LIMITS, sandbox_mode, warm_grader

from autograder.checking.submission import LocalSubmission
from autograder.grading.answers import plain, same
from autograder.grading.errors import SubmissionError
from autograder.grading.remote import RemoteSubmission
from autograder.grading.worker_link import Source, WorkerLink
from autograder.hidden_tests.rules import rules_of

ODD = """
import torch
from torch import nn


def layout(*tensors):
    return [(tuple(x.shape), x.stride(), x.storage_offset(), x.is_contiguous(), str(x.dtype), x.requires_grad) for x in tensors]

def identical(a, b, c=None):
    return a is b, b is c, a.data_ptr() == b.data_ptr()

def echo(*args, **kwargs):
    return args, kwargs

def described(value):
    return repr(value) if not isinstance(value, torch.Tensor) else "a tensor"

def add_in_place(x, by=1.0):
    x += by
    return x

def change_nested(pair, mapping):
    pair[0].zero_()
    return mapping["x"] + 1

def change_list(items, at=0):
    items[at] = items[at] + 1
    items.append(items.pop())
    return items

def change_storage(x):
    x.data.fill_(3)

def square(x):
    return x * x

def two(x, y):
    return x * y, x + 1, 3, "text"

def no_graph(x):
    return (x * 2).detach()

def partly(x):
    return x * 2, (x * 2).detach(), torch.ones(2)

def grad_mode():
    return torch.is_grad_enabled(), torch.get_default_dtype()

def draw(n):
    return torch.rand(n)

def raise_(kind, text):
    raise {"value": ValueError, "key": KeyError, "os": OSError, "memory": MemoryError, "stop": StopIteration, "own": Own}[kind](text)

class Own(IndexError):
    pass

def returns(name):
    return {"none": None, "size": torch.ones(2, 3).shape,
            "nested": ((1, [2.5, "x"]), {"a": {1: True}}),
            "empty": torch.empty(0, 3), "scalar": torch.tensor(2.5),
            "transposed": torch.arange(6.0).reshape(2, 3).T, "expanded": torch.ones(1).expand(3, 2),
            "bool": torch.tensor([True, False]), "dtype": torch.float16,
            "nan": float("nan"), "inf": float("inf"), "big": 2**80,
            "bfloat16": torch.ones(2, dtype=torch.bfloat16), "named": Point(1, 2),
            "int": torch.tensor([2**62]),
            "negative": torch.view_as_complex(torch.ones(2, 2)).conj().imag, "unicode": "é\\u2028☃"}[name]

import collections
Point = collections.namedtuple("Point", "x y")

class Counter:
    def __init__(self, start=0):
        self.count = start
        self.table = torch.zeros(2)

    def add(self, by=1):
        self.count += by
        return self

    def value(self):
        return self.count

def merged(counters):
    return Counter(sum(counter.count for counter in counters))

class Layer(nn.Module):
    def __init__(self, n, dropout=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1.0, n + 1))
        self.shared = self.weight
        self.frozen = nn.Parameter(torch.ones(n), requires_grad=False)
        self.linear = nn.Linear(n, n)
        self.register_buffer("table", torch.ones(n))
        self.dropout = nn.Dropout(dropout)
        self.calls = 0

    def forward(self, x, twice=False):
        self.calls += 1
        y = self.dropout(self.linear(x * self.weight)) * self.frozen + self.table
        return (y, self.weight * 2) if twice else y

    def penalty(self):
        return (self.weight ** 2).sum()
"""


@pytest.fixture(scope="module")
def remote() -> Iterator[RemoteSubmission]:
    rules = rules_of("none of the course")
    sandbox_mode()
    link = WorkerLink(warm_grader()._zygotes.of(sandbox_mode(), rules), Source("odd.py", ODD), rules, LIMITS)
    link.load()
    yield RemoteSubmission(link, {})
    link.close()


@pytest.fixture(scope="module")
def local() -> LocalSubmission:
    module = types.ModuleType("odd")
    exec(compile(ODD, "odd.py", "exec"), module.__dict__)
    return LocalSubmission(module)


Scenario = Callable[[Any], Any]
SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    SCENARIOS.append(function)
    return function


def x(*shape: int, dtype: torch.dtype = torch.float64, **options: Any) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(dtype).requires_grad_(options.get("grad", False))


@scenario
def strides_are_kept(odd: Any) -> Any:
    a = x(4, 6)
    views = [a, a.T, a[::2], a[:, 1::3], a[0], a.mT[None], a.unflatten(1, (2, 3)).permute(2, 0, 1), a[:0], a[3:, 5:]]
    found = odd.layout(*views)
    return [(shape, strides, dtype) for shape, strides, _, _, dtype, _ in found]


@scenario
def strides_of_zero_are_kept(odd: Any) -> Any:
    mask = torch.tensor([True, False]).expand(3, 4, 2)
    return [entry[:2] for entry in odd.layout(mask, torch.ones(()).expand(5), x(2, 1).expand(2, 3))]


@scenario
def one_tensor_given_thrice_is_one_tensor(odd: Any) -> Any:
    a = x(3)
    return odd.identical(a, a, a), odd.identical(a, a.clone(), a), odd.identical(a, b=a, c=x(3))


@scenario
def plain_values_arrive_as_they_are(odd: Any) -> Any:
    return [
        odd.described(value) for value in (None, True, 3, -2.5, float("inf"), "é", (1, 2), [1, (2,)], {"a": 1, 2: None}, torch.float16, 2**70, ())
    ]


@scenario
def nested_arguments_come_back(odd: Any) -> Any:
    return odd.echo(x(2), [x(3), None], (1, (x(1),)), key={"a": x(2), "b": [True]}, dtype=torch.bfloat16)


@scenario
def every_dtype_crosses(odd: Any) -> Any:
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    return odd.echo(*(x(2, 3).to(kind) for kind in kinds))


@scenario
def no_change_is_seen_where_there_is_none(odd: Any) -> Any:
    a = x(3)
    odd.square(a)
    odd.identical(a, a)
    return odd.changed_inputs


@scenario
def changes_in_place_are_reported_and_undone(odd: Any) -> Any:
    a, before = x(3), x(3)
    result = odd.add_in_place(a, by=2.0)
    return odd.changed_inputs, torch.equal(a, before), result


@scenario
def changes_behind_autograd_are_seen_too(odd: Any) -> Any:
    odd.change_storage(x(3))
    odd.change_storage(x=x(4, 2).T)
    odd.change_storage(x(4)[::2])
    return odd.changed_inputs


@scenario
def changes_inside_containers_are_reported(odd: Any) -> Any:
    odd.change_nested([x(2), x(3)], {"x": x(2)})
    odd.change_nested((x(2), x(3)), mapping={"x": x(2)})
    return odd.changed_inputs


@scenario
def a_list_with_other_items_is_a_change(odd: Any) -> Any:
    mine = [x(2), x(3)]
    result = odd.change_list(mine)
    odd.change_list(items=mine, at=1)
    odd.echo(mine)
    return odd.changed_inputs, mine, result


@scenario
def a_change_to_the_same_value_counts(odd: Any) -> Any:
    odd.change_storage(torch.full((3,), 3.0))
    return None  # in one process it cannot be seen; behind the wire it may be: neither is an error


@scenario
def gradients_of_an_input(odd: Any) -> Any:
    a = x(3, 2, grad=True)
    return torch.autograd.grad(odd.square(a).sum(), a)


@scenario
def gradients_add_up_for_one_tensor_given_twice(odd: Any) -> Any:
    a = x(3, grad=True)
    return torch.autograd.grad(odd.two(a, a)[0].sum(), a)


@scenario
def gradients_through_several_results_and_calls(odd: Any) -> Any:
    a, b = x(3, grad=True), x(3).add(1).detach().requires_grad_()
    product, shifted, *_ = odd.two(a, b)
    again = odd.square(product)
    return torch.autograd.grad((again.sum(), shifted.sum()), (a, b))


@scenario
def gradients_for_a_given_cotangent_and_one_result_only(odd: Any) -> Any:
    a, b = x(3, grad=True), x(3, grad=True)
    _, shifted, *_ = odd.two(a, b)
    return torch.autograd.grad(shifted, (a, b), torch.arange(3.0, dtype=torch.float64), allow_unused=True)


@scenario
def the_same_graph_twice(odd: Any) -> Any:
    a = x(3, grad=True)
    result = odd.square(a)
    first = torch.autograd.grad(result.sum(), a, retain_graph=True)
    return first, torch.autograd.grad((result * 2).sum(), a)


@scenario
def gradients_of_strided_inputs(odd: Any) -> Any:
    a = x(3, 4, grad=True)
    return torch.autograd.grad((odd.square(a.T) * torch.arange(3.0)).sum(), a), torch.autograd.grad(odd.square(a[:, ::2]).sum(), a)


@scenario
def backward_fills_grad(odd: Any) -> Any:
    a = x(3, grad=True)
    odd.square(a).sum().backward()
    odd.square(a).sum().backward()
    return a.grad


@scenario
def gradcheck_holds(odd: Any) -> Any:
    return torch.autograd.gradcheck(odd.square, [x(2, 2, grad=True)], fast_mode=False)


@scenario
def what_is_detached_requires_no_gradient(odd: Any) -> Any:
    a = x(3, grad=True)
    return odd.no_graph(a).requires_grad, [result.requires_grad for result in odd.partly(a)], odd.square(x(2)).requires_grad


@scenario
def no_grad_reaches_the_submission(odd: Any) -> Any:
    a = x(3, grad=True)
    with torch.no_grad():
        inside = odd.grad_mode(), odd.square(a).requires_grad
    return inside, odd.grad_mode(), odd.square(a).requires_grad


@scenario
def a_seed_decides_draws(odd: Any) -> Any:
    odd.seed(3)
    first = odd.draw(4)
    odd.seed(3)
    return first, odd.draw(4), odd.draw(4)


@scenario
def dropout_draws_alike_after_a_seed(odd: Any) -> Any:
    layer = odd.Layer(50, dropout=0.5)
    layer.load_state_dict(fixed_state(layer))
    odd.seed(11)
    first = layer(torch.ones(2, 50))
    layer.eval()
    rest = layer(torch.ones(2, 50))
    layer.train()
    return first, rest, layer(torch.ones(2, 50))


def fixed_state(layer: Any) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(value.shape, generator=generator).to(value.dtype) for name, value in layer.state_dict().items()}


@scenario
def a_module_loads_and_gives_its_weights(odd: Any) -> Any:
    layer = odd.Layer(3)
    before = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    state = fixed_state(layer)
    state["shared"] = state["weight"]
    layer.load_state_dict(state)
    return before, layer.state_dict(), layer(torch.ones(2, 3)), layer(torch.ones(2, 3), twice=True)


@scenario
def a_state_that_does_not_fit_is_refused(odd: Any) -> Any:
    layer = odd.Layer(3)
    found = []
    for state in ({}, {"weight": torch.ones(4)}, {**layer.state_dict(), "more": torch.ones(1)}):
        try:
            layer.load_state_dict(state)
        except RuntimeError:
            found.append(True)
    return found


@scenario
def a_module_changes_its_dtype(odd: Any) -> Any:
    layer = odd.Layer(3).to(torch.float64)
    layer.load_state_dict({name: value.double() for name, value in fixed_state(layer).items()})
    return (
        layer(x(2, 3)).dtype,
        {name: value.dtype for name, value in layer.state_dict().items()},
        layer.to(torch.bfloat16)(x(2, 3, dtype=torch.bfloat16)).dtype,
    )


@scenario
def parameters_have_names_and_one_entry_each(odd: Any) -> Any:
    layer = odd.Layer(3)
    layer.load_state_dict(fixed_state(layer))
    return [(name, value.detach(), value.requires_grad) for name, value in layer.named_parameters()], len(layer.parameters())


@scenario
def gradients_of_parameters_shared_ones_too(odd: Any) -> Any:
    layer = odd.Layer(3).to(torch.float64)
    layer.load_state_dict({name: value.double() for name, value in fixed_state(layer).items()})
    a = x(2, 3, grad=True)
    parameters = [value for value in layer.parameters() if value.requires_grad]
    return torch.autograd.grad(layer(a).square().sum(), [a, *parameters])


@scenario
def gradients_through_a_method_and_two_calls_of_one_module(odd: Any) -> Any:
    layer = odd.Layer(3).to(torch.float64)
    layer.load_state_dict({name: value.double() for name, value in fixed_state(layer).items()})
    parameters = dict(layer.named_parameters())
    loss = layer.penalty() + layer(layer(x(2, 3))).sum()
    return torch.autograd.grad(loss, [parameters["weight"], parameters["linear.bias"]])


@scenario
def objects_stay_where_they_are(odd: Any) -> Any:
    counter = odd.Counter(start=2)
    counter.add()
    counter.add(by=3)
    return counter.value(), counter.count, counter.table, odd.merged([counter, odd.Counter(10)]).count, counter.kind_of_object() != ""


@scenario
def attributes_and_counts_of_calls(odd: Any) -> Any:
    layer = odd.Layer(2)
    for _ in range(3):
        layer(torch.ones(1, 2))
    return layer.calls, layer.training, layer.eval().training


@scenario
def names_are_known(odd: Any) -> Any:
    return odd.has("square"), odd.has("cube"), odd.has("__builtins__")


KINDS = "none size nested empty scalar transposed expanded bool dtype nan inf big bfloat16 named int negative unicode".split()


@pytest.mark.parametrize("name", KINDS)
def test_results_of_any_kind(remote: RemoteSubmission, local: LocalSubmission, name: str) -> None:
    assert same(plain(remote.returns(name)), plain(local.returns(name)))


@pytest.mark.parametrize("kind", ["value", "key", "os", "memory", "stop", "own"])
def test_errors_have_the_same_built_in_type(remote: RemoteSubmission, local: LocalSubmission, kind: str) -> None:
    builtin = {"value": ValueError, "key": KeyError, "os": OSError, "memory": MemoryError, "stop": StopIteration, "own": IndexError}[kind]
    for submission in (remote, local):
        submission.start_test(0)
        with pytest.raises((SubmissionError, builtin)) as caught:
            submission.raise_(kind, "words")
        assert isinstance(caught.value, builtin) or kind == "os"
        assert plain(caught.value) == ("error", builtin.__name__)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda function: function.__name__)
def test_both_backends_answer_alike(remote: RemoteSubmission, local: LocalSubmission, scenario: Scenario) -> None:
    remote.start_test(7)
    local.start_test(7)
    answers = []
    for submission in (remote, local):
        answer = plain(scenario(submission))
        answers.append(answer)
    assert same(*answers), answers
    assert remote.lost is None


def test_measurements_agree(remote: RemoteSubmission, local: LocalSubmission) -> None:
    costs = []
    for submission in (remote, local):
        submission.start_test(7)
        a = x(8, 8, grad=True)
        with submission.measuring() as cost:
            torch.autograd.grad(submission.square(a).sum(), a)
        with submission.measuring() as nothing:
            pass
        submission.square(a)
        assert (nothing.flops, nothing.largest_tensor) == (0, 0)
        costs.append(cost)
    assert costs[0].largest_tensor == 64
    assert costs[0].operations["aten.mul"] >= 2
    assert costs[0].operations["aten.mul"] <= costs[1].operations["aten.mul"]


def test_answers_are_told_to_an_observer_in_the_same_order(remote: RemoteSubmission, local: LocalSubmission) -> None:
    heard: list[list[Any]] = [[], []]
    for submission, notes in zip((remote, local), heard, strict=True):
        submission.start_test(7)
        with submission.observed_by(lambda value, notes=notes: notes.append(plain(value))):
            submission.square(x(2))
            layer = submission.Layer(2)
            layer.state_dict()
            layer.load_state_dict(fixed_state(layer))
            layer(torch.ones(1, 2))
            _ = layer.calls
            with pytest.raises(ValueError):
                submission.raise_("value", "x")
        submission.square(x(2))
    assert len(heard[0]) == len(heard[1])
    assert [type(note) for note in heard[0]] == [type(note) for note in heard[1]]


def test_what_a_test_made_is_gone_in_the_next(remote: RemoteSubmission) -> None:
    remote.start_test(1)
    counter = remote.Counter(5)
    a = x(3, grad=True)
    result = remote.square(a)
    remote.start_test(2)
    remote.grad_mode()
    with pytest.raises(SubmissionError):
        counter.value()
    with pytest.raises(SubmissionError):
        torch.autograd.grad(result.sum(), a)


def test_only_data_and_handles_cross(remote: RemoteSubmission) -> None:
    remote.start_test(1)
    for value in (object(), nn.Linear(1, 1), lambda: 1, torch.ones(2).to_sparse(), torch.ones(2, dtype=torch.complex64), {1, 2}, b"bytes"):
        with pytest.raises(Exception, match="cross"):
            remote.echo(value)
    assert remote.echo(1) == ((1,), {})
