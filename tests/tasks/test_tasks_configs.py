"""The configurations of the tasks in examples/configs: valid, complete, what they claim to be."""

import pytest
import torch
from support.files import ROOT

from snn_ssm.config import dumps, load, loads
from snn_ssm.model.network import Network
from snn_ssm.tasks import TASKS, DataError, get_task

FOLDER = ROOT / "examples" / "configs"
FILES = sorted(FOLDER.glob("*.toml"))
SMALL = sorted(set(TASKS) - {"smnist", "own"})
LONG_RANGE = ("listops", "text", "retrieval", "image", "pathfinder", "path-x")
# Stan & Rhodes, arXiv 2401.00955: depth, channels, norm, pre-norm, dropout, rate, mode rate,
# batch, epochs, weight decay.
PUBLISHED = {
    "listops": (8, 128, "batch", False, 0.0, 0.01, 0.001, 50, 40, 0.05),
    "text": (6, 256, "batch", True, 0.0, 0.01, 0.001, 16, 32, 0.05),
    "retrieval": (6, 256, "batch", True, 0.0, 0.01, 0.001, 64, 20, 0.05),
    "image": (6, 512, "layer", False, 0.1, 0.01, 0.001, 50, 200, 0.05),
    "pathfinder": (6, 256, "batch", True, 0.0, 0.004, 0.001, 64, 200, 0.03),
    "path-x": (6, 256, "batch", True, 0.0, 0.0005, 0.0005, 16, 50, 0.05),
}
STEPS = {
    "listops": 2000, "text": 4096, "retrieval": 8000, "image": 1024, "pathfinder": 1024,
    "path-x": 16384,
}


def task_of(path):
    """The task that a file's name says."""
    name = path.stem.removeprefix("paper-")
    for end in ("-small", "-binary-s4d", "-gsu", "-stock"):
        name = name.removesuffix(end)
    return name


def identify(path):
    return path.stem


def test_the_files_are_those_of_every_task():
    expected = {f"{name}-small" for name in SMALL} | {"smnist-binary-s4d", "smnist-stock"}
    expected |= {f"paper-{name}-{kind}" for name in LONG_RANGE for kind in ("binary-s4d", "gsu")}
    assert expected <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_a_file_is_valid_and_of_the_task_in_its_name(path):
    config = load(path)
    task = get_task(config.task.name)
    assert path.stem.startswith(f"{task.name}-") or task.name == task_of(path)
    assert config.model.classes == len(task.classes)
    default = task.config().model
    for key in ("inputs", "encoder", "input_bits", "input_scale", "pair"):
        assert getattr(config.model, key) == getattr(default, key)
    assert loads(dumps(config)) == config


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_a_files_network_is_made_and_has_its_classes(path):
    model = load(path).model
    network = Network(model)
    assert len(network.blocks) == model.depth
    decoder = network.decoder
    assert decoder.out_features == model.classes
    assert all(torch.isfinite(p).all() for p in network.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_a_small_file_is_the_tasks_own_configuration(name):
    path = FOLDER / f"{name}-small.toml"
    assert load(path) == TASKS[name].config()
    comment, _, table = path.read_text(encoding="utf-8").partition("\n\n")
    assert table == dumps(TASKS[name].config())
    assert 1 <= len(comment.splitlines()) <= 2
    assert all(line.startswith("# ") for line in comment.splitlines())
    assert f"'snn-ssm train {name}'" in comment


def test_smnists_own_configuration_is_that_of_the_shipped_checkpoint():
    assert load(FOLDER / "smnist-binary-s4d.toml") == TASKS["smnist"].config()


@pytest.mark.parametrize("name", LONG_RANGE)
@pytest.mark.parametrize("kind", ["binary-s4d", "gsu"])
def test_a_papers_file_has_the_published_hyper_parameters(name, kind):
    config = load(FOLDER / f"paper-{name}-{kind}.toml")
    model, training = config.model, config.training
    found = (
        model.depth, model.channels, model.norm, model.prenorm, model.dropout, training.rate,
        training.mode_rate, training.batch_size, training.epochs, training.weight_decay,
    )
    assert found == PUBLISHED[name]
    assert (config.task.name, config.task.steps) == (name, STEPS[name])
    assert config.task.train_samples == 0 and config.task.permutation == ()
    assert (model.modes, model.mode_init, model.discretisation) == (32, "s4d-inv", "bilinear")
    assert model.bidirectional and model.n_ssm == 0 and model.cells == "native"
    assert (model.surrogate, model.surrogate_slope) == ("fast-sigmoid", 25.0)
    assert (model.dt_min, model.dt_max) == (1e-4 if name == "path-x" else 1e-3, 0.1)
    assert model.pooling == ("last" if name == "pathfinder" else "mean")
    published = {
        "binary-s4d": ("heaviside", "glu"),
        "gsu": ("ternary", "gsu"),
    }
    assert (model.activation, model.mixing) == published[kind]
    assert model.gsu_norm == "layer" and model.gsu_weights == 1


@pytest.mark.parametrize("name", LONG_RANGE)
def test_a_papers_file_names_its_source(name):
    for kind, model in (("binary-s4d", "Binary S4D"), ("gsu", "GSU")):
        text = (FOLDER / f"paper-{name}-{kind}.toml").read_text(encoding="utf-8")
        assert text.startswith(f"# {model} on ") and "arXiv 2401.00955" in text
        unpublished = (name, kind) == ("path-x", "gsu")
        assert ("publishes no result" in text) == unpublished


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_found_by_its_name_and_describes_itself(name):
    task = get_task(name)
    config = task.config()
    assert task.name == name == config.task.name
    if name != "own":  # whose classes are those of the data
        assert config.model.classes == len(task.classes) == len(set(task.classes))
    assert config == task.config()


@pytest.mark.parametrize("name", TASKS)
def test_a_tasks_own_configuration_is_causal_and_spikes(name):
    model = TASKS[name].config().model
    assert not model.bidirectional and model.norm == "batch"
    if model.mixing == "gsu":
        assert (model.activation, model.gsu_norm) == ("ternary-constant", "batch")
    else:
        assert model.activation == "heaviside"


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"n-parity", "n-dms", "own"}))
def test_missing_data_is_an_error_that_names_both_places(name, tmp_path):
    task = TASKS[name]
    with pytest.raises(DataError) as caught:
        task.load(tmp_path, "train", task.config().task)
    message = str(caught.value)
    assert f"{tmp_path} " in message or f"{tmp_path}." in message
    assert f"{tmp_path}/" in message


@pytest.mark.parametrize("name", ["image", "text", "retrieval", "mitbih"])
def test_what_is_not_downloaded_says_where_it_is_to_be_had(name, tmp_path):
    with pytest.raises(DataError, match=r"https://\S+.*not downloaded"):
        TASKS[name].download(tmp_path)
    assert list(tmp_path.iterdir()) == []
