"""examples/wider.py: the wider network answers as the trained one, and its new channels learn."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.files import load_example  # noqa: E402
from support.gated_networks import KINDS, checkpoint_of_kind  # noqa: E402

from snn_ssm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from snn_ssm.model import build_network  # noqa: E402
from snn_ssm.model.restore import load_network, load_weights  # noqa: E402

wider = load_example("wider")
FURTHER = {
    "pair": {"pair": True},
    "shared modes": {"n_ssm": 2},
    "recurrent, late": {"recurrent": True, "recurrent_delays": 2, "delays": 3},
    "an axon's delays": {"delays": 3, "delay_per": "axon"},
    "bidirectional": {"bidirectional": True},
    "two matrices": {"mixing": "gsu", "activation": "ternary-constant", "gsu_weights": 2},
    "as many modes as channels": {"modes": 6},
}


def drawn(checkpoint, seed=3):
    """The model of a checkpoint's configuration with numbers in the place of every array."""
    rng = np.random.default_rng(seed)
    network = build_network(checkpoint.config.model, seed)
    arrays = {}
    for name, value in network.state_dict().items():
        array = value.numpy()
        if array.dtype == np.float32 and ".ssm." not in name:
            positive = name.endswith(("running_var", "norm.weight"))
            array = rng.uniform(0.5 if positive else -1, 1, array.shape).astype(np.float32)
        arrays[name] = array
    return Checkpoint(checkpoint.config, arrays)


def models():
    for kind in KINDS:
        yield kind, checkpoint_of_kind(kind, channels=6)
    base = checkpoint_of_kind("glu", channels=6)
    for name, changes in FURTHER.items():
        plain = {"mixing": "linear", "activation": "heaviside", "gsu_norm": "batch"} | changes
        model = dataclasses.replace(base.config.model, **plain)
        yield name, Checkpoint(dataclasses.replace(base.config, model=model), {})


MODELS = dict(models())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_a_wider_network_answers_as_the_trained_one(name, training):
    trained = drawn(MODELS[name])
    grown = wider.grown(trained, 10, seed=1)
    config = trained.config.model
    assert grown.config.model == dataclasses.replace(config, channels=10)
    shape = (4, config.inputs if config.encoder == "linear" else 1, 12)
    p = torch.from_numpy(np.random.default_rng(0).integers(0, config.inputs + 1, shape))
    if config.encoder == "embedding":
        p = p % config.inputs
    results = []
    for each in (trained, grown):
        network = load_network(each).double().train(training)
        for dropout in (m for m in network.modules() if isinstance(m, torch.nn.Dropout1d)):
            dropout.p = 0.0
        results.append(network(p.double() if config.encoder == "linear" else p))
    old, new = results
    assert torch.allclose(old.logits, new.logits, rtol=1e-12, atol=1e-12)
    for s, more in zip(old.outputs, new.outputs, strict=True):
        assert more.shape[1] == 10 and torch.equal(s, more[:, :6].to(s.dtype))


def test_new_channels_get_gradients_and_gates_that_open():
    trained = drawn(checkpoint_of_kind("gsu", channels=6, depth=3))
    grown = wider.grown(trained, 12, seed=1)
    network = build_network(grown.config.model)
    load_weights(network, grown)
    network.train()
    out = network(torch.randint(0, 2, (4, grown.config.model.inputs, 12)))
    out.logits.square().sum().backward()
    assert (network.decoder.weight.grad[:, 6:] != 0).any()
    for block in network.blocks:
        gates = block.mixing.gate_matrix().detach()
        assert (gates[6:] != 0).float().mean() > 0.5 and (gates[:6, 6:] == 0).all()
        assert (block.mixing.weight.grad[:6, 6:] != 0).any()  # old ones may listen to new ones


def test_the_command_writes_a_checkpoint_that_can_be_read(tmp_path, monkeypatch, capsys):
    trained = drawn(checkpoint_of_kind("gsu", channels=6))
    (tmp_path / "narrow").mkdir()
    save_checkpoint(tmp_path / "narrow", trained)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["wider.py", *map(str, arguments)])
        try:
            wider.main()
        except SystemExit as left:
            return left.code, capsys.readouterr().err
        return 0, ""

    assert run(tmp_path / "narrow", 8, tmp_path / "wide", "--seed", 4) == (0, "")
    found, expected = load_checkpoint(tmp_path / "wide"), wider.grown(trained, 8, 4)
    assert found.config == expected.config
    assert all((found.arrays[k] == v).all() for k, v in expected.arrays.items())
    for arguments, message in [
        ((tmp_path / "narrow", 6, tmp_path / "new"), "CHANNELS is above the checkpoint's 6"),
        ((tmp_path / "narrow", 8, tmp_path / "new", "--seed", -1), "--seed at least 0"),
        ((tmp_path / "none", 8, tmp_path / "new"), "cannot read checkpoint configuration"),
        ((tmp_path / "narrow", 8, tmp_path / "wide"), "exists"),
    ]:
        code, said = run(*arguments)
        assert code == 2 and message in said
    gsu = dataclasses.replace(trained.config.model, activation="ternary")
    for i, (model, message) in enumerate([
        (gsu, "layer norms and ternary spikes compare all channels"),
        (dataclasses.replace(gsu, norm="layer"), "layer norms and ternary"),
        (dataclasses.replace(gsu, gsu_norm="layer"), "layer norms and ternary"),
        (dataclasses.replace(gsu, architecture="transformer", heads=2, mixing="linear"),
         "is a transformer; only state-space layers"),
    ]):
        config = dataclasses.replace(trained.config, model=model)
        arrays = {k: v.numpy() for k, v in build_network(model).state_dict().items()}
        (tmp_path / str(i)).mkdir()
        save_checkpoint(tmp_path / str(i), Checkpoint(config, arrays))
        code, said = run(tmp_path / str(i), 8, tmp_path / "new")
        assert code == 2 and message in said
    assert not (tmp_path / "new").exists()
