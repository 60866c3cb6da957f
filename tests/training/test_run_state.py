"""The state of a run: there and back, and one that another version wrote."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from snn_ssm.config import Config  # noqa: E402
from snn_ssm.files import FileError, read_arrays, seal_arrays  # noqa: E402
from snn_ssm.training.run_state import (  # noqa: E402
    STATE_FILE,
    Progress,
    TrainingError,
    load_state,
    random_state,
    save_state,
)

RANDOM = [random_state(torch.device("cpu"))]
PROGRESS = Progress(2, 3, loss=0.5, rates=[0.25], epochs=[{"epoch": 1}], init="ab",
                    data={"train": "1", "test": "2"})


def stepped(seed):
    """A network and its optimiser after a step."""
    torch.manual_seed(seed)
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return network, optimiser


@pytest.fixture
def run(tmp_path):
    """A directory with a state."""
    with torch.random.fork_rng(devices=[]):
        save_state(tmp_path, Config(), PROGRESS, *stepped(0), RANDOM)
    return tmp_path


def resume(directory, data=None):
    with torch.random.fork_rng(devices=[]):
        network, optimiser = stepped(1)
    progress, random = load_state(
        directory, Config(), network, optimiser, RANDOM, data or PROGRESS.data
    )
    return progress, random, network, optimiser


def test_a_state_of_other_samples_is_refused(run):
    with pytest.raises(TrainingError) as caught:
        resume(run, PROGRESS.data | {"test": "4"})
    assert str(caught.value) == (
        f"{run} has other test samples than those given (their SHA-256 differ). Resume with the "
        "same --data, or train into a new directory."
    )


def rewrite(directory, change):
    """Let ``change`` alter the arrays and metadata of a state, as another version writes them."""
    arrays, metadata = read_arrays(directory / STATE_FILE, "training state")
    del metadata["sha256"]
    change(arrays, metadata)
    (directory / STATE_FILE).write_bytes(seal_arrays(arrays, metadata))


def test_a_state_there_and_back(run):
    progress, random, network, optimiser = resume(run)
    with torch.random.fork_rng(devices=[]):
        other, others = stepped(0)
    assert progress == PROGRESS and random[0]["cpu"].equal(RANDOM[0]["cpu"])
    assert all(a.equal(b) for a, b in zip(network.parameters(), other.parameters(), strict=True))
    for i, state in others.state_dict()["state"].items():
        for key, value in state.items():
            assert optimiser.state_dict()["state"][i][key].equal(value)


@pytest.mark.parametrize("part", ["header", "arrays"])
def test_an_altered_state_is_refused(run, part):
    data = bytearray((run / STATE_FILE).read_bytes())
    data[data.index(b"loss") + 10 if part == "header" else -2] ^= 1
    (run / STATE_FILE).write_bytes(data)
    with pytest.raises(FileError) as caught:
        resume(run)
    assert str(caught.value) == (
        f"training state {run / STATE_FILE} was altered: its SHA-256 is not the one that it was "
        "written with. Restore the file, or train into a new directory."
    )


def without_an_array(arrays, metadata):
    del arrays["model.bias"]


def with_an_array(arrays, metadata):
    arrays["model.other"] = np.zeros(2)


def of_another_shape(arrays, metadata):
    arrays["model.weight"] = np.zeros((2, 4), np.float32)


def without_a_step(arrays, metadata):
    del arrays["optimiser.0.step"]


def with_other_progress(arrays, metadata):
    metadata["progress"] = json.dumps({"epochs_done": 3})


def without_progress(arrays, metadata):
    del metadata["progress"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (without_an_array, "RuntimeError: .*bias"),
        (with_an_array, "RuntimeError: .*other"),
        (of_another_shape, "RuntimeError: .*weight"),
        (without_a_step, "KeyError: 'step'"),
        (with_other_progress, "TypeError: .*epochs_done"),
        (without_progress, "KeyError: 'progress'"),
    ],
)
def test_a_state_of_another_version_is_refused(run, change, found):
    rewrite(run, change)
    with pytest.raises(TrainingError, match=f"(?s)another version of snn-ssm \\({found}") as caught:
        resume(run)
    message = str(caught.value)
    assert message.startswith(str(run / STATE_FILE))
    assert message.endswith("Resume with that version, or train into a new directory.")


def set_array(name, array):
    def change(arrays, metadata):
        arrays[name] = array

    return change


def set_progress(**fields):
    def change(arrays, metadata):
        metadata["progress"] = json.dumps(json.loads(metadata["progress"]) | fields)

    return change


STATE_SIZE = len(RANDOM[0]["cpu"])


@pytest.mark.parametrize(("change", "found"), [
    (set_array("random.0.cpu", np.zeros(7, np.uint8)), "ValueError: random state 'cpu' of .*"),
    (set_array("random.0.cpu", np.zeros(STATE_SIZE, np.int64)), "ValueError: random state"),
    (set_array("optimiser.0.exp_avg", np.zeros((9, 9), np.float32)), "ValueError: optimiser.0.exp"),
    (set_array("optimiser.0.exp_avg_sq", np.zeros(0, np.float32)), "ValueError: optimiser.0.exp"),
    (set_array("optimiser.0.exp_avg", np.zeros((2, 3), np.int64)), "ValueError: optimiser.0.exp"),
    (set_array("optimiser.0.step", np.zeros(2, np.float32)), "ValueError: optimiser.0.step"),
    (set_array("optimiser.9.step", np.zeros((), np.float32)), "KeyError: 'exp_avg'"),
    (set_array("optimiser.0.other", np.zeros((), np.float32)), "ValueError: optimiser.0 has"),
    (set_array("optimiser.x.step", np.zeros((), np.float32)), "ValueError: invalid literal"),
    (set_array("optimiser.0.a.b", np.zeros((), np.float32)), "ValueError: too many values"),
    (set_progress(epoch="1"), "TypeError: progress.epoch is '1'"),
    (set_progress(batch=True), "TypeError: progress.batch is True"),
    (set_progress(seen=-1), "ValueError: a number of epochs"),
    (set_progress(rates=["a"]), r"TypeError: progress.rates is \['a'\]"),
    (set_progress(init=5), "TypeError: progress.init is 5"),
    (set_progress(data=[]), r"TypeError: progress.data is \[\]"),
    (lambda arrays, metadata: metadata.update(progress="[" * 100_000), "ValueError: it is nested"),
    (lambda arrays, metadata: metadata.update(progress="[]"), "TypeError: .*mapping"),
])
def test_a_hostile_state_is_refused(run, change, found):
    rewrite(run, change)
    with pytest.raises(TrainingError, match=f"(?s)another version of snn-ssm \\({found}"):
        resume(run)


def test_a_random_state_of_the_right_size_that_no_generator_can_have(tmp_path):
    from support.toy_problem import TEST, TRAIN, config_of

    from snn_ssm.training.loop import train

    train(config_of(epochs=1), TRAIN, TEST, tmp_path / "run")
    rewrite(tmp_path / "run", set_array("random.0.cpu", np.full(STATE_SIZE, 255, np.uint8)))
    with pytest.raises(TrainingError, match="is none that a generator can have"):
        train(config_of(epochs=1), TRAIN, TEST, tmp_path / "run", resume=True)


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("place", ["inside", "beside"])
def test_a_start_that_was_killed_in_its_first_write(tmp_path, resume, place):
    """Both a new run and --resume take what is left for nothing."""
    from support.toy_problem import TEST, TRAIN, config_of

    from snn_ssm.training.loop import train

    out = tmp_path / "run"
    if place == "inside":
        out.mkdir()
        (out / f".{STATE_FILE}.0123456789ab.part").write_bytes(b"half")
    else:
        (tmp_path / ".run.0123456789ab.part").mkdir()
    train(config_of(epochs=1), TRAIN, TEST, out, resume=resume)
    assert [p.name for p in tmp_path.rglob("*.part")] == []
