"""S4's full kernels convert, whichever way they turn; what is not diagonal is refused by name."""

import re
import tomllib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.files import ROOT  # noqa: E402
from support.foreign import MODEL, STEPS, Foreign, write_map  # noqa: E402

from export.command.arguments import main  # noqa: E402
from export.lowering.network import lower  # noqa: E402
from export.samples.readout import logits, needed_membranes  # noqa: E402
from export.software import simulation as software  # noqa: E402
from snn_ssm.checkpoint import Checkpoint, load_checkpoint  # noqa: E402
from snn_ssm.config import ModelConfig, from_dict  # noqa: E402
from snn_ssm.convert.changes import TRANSFORMS, Change  # noqa: E402
from snn_ssm.convert.conversion import ConvertError, convert, place  # noqa: E402
from snn_ssm.convert.names import load_map  # noqa: E402
from snn_ssm.model.restore import load_network  # noqa: E402

DOCUMENT = (ROOT / "docs" / "how-to" / "convert.md").read_text(encoding="utf-8")
BILINEAR = {"discretisation": "bilinear"}
# What the foreign model is built with, what the map says of it in [model], and in [names].
KINDS = {
    "v3": ({"kernel": "v3"}, {}, {"inv_A_real": "exp"}),
    "v3, one set, bilinear": (
        {"kernel": "v3", "h": 6, "sets": 1, "bilinear": True, "real": "softplus"},
        {"channels": 6, "n_ssm": 1, **BILINEAR},
        {"inv_A_real": "softplus"},
    ),
    "v3, three sets, GLU": (
        {"kernel": "v3", "h": 6, "sets": 3, "gated": True, "real": "relu"},
        {"channels": 6, "n_ssm": 3, "mixing": "glu"},
        {"inv_A_real": "relu"},
    ),
    "v4": ({"kernel": "v4"}, {}, {"A_real": "exp", "A_imag": "none", "inv_dt": "exp"}),
    "v4, two sets": (
        {"kernel": "v4", "h": 6, "sets": 2, "real": "softplus", "step": "softplus"},
        {"channels": 6, "n_ssm": 2},
        {"A_real": "softplus", "A_imag": "none", "inv_dt": "softplus"},
    ),
    "v4, bilinear, last": (
        {
            "kernel": "v4", "bilinear": True, "pooling": "last", "real": "none", "imag": "exp",
            "step": "relu",
        },
        {"pooling": "last", **BILINEAR},
        {"A_real": "none", "A_imag": "exp", "inv_dt": "relu"},
    ),
    "v4, post": (
        {"kernel": "v4", "prenorm": False, "real": "sigmoid", "imag": "softplus", "step": "none"},
        {"prenorm": False},
        {"A_real": "sigmoid", "A_imag": "softplus", "inv_dt": "none"},
    ),
}
V4 = KINDS["v4"][2]


def samples(count=4):
    return np.random.default_rng(7).integers(0, 16, (count, 2, STEPS)).astype(np.uint16)


def names_of(kind, **more):
    built, _, transforms = KINDS[kind]
    said = {key: {"transform": transform} for key, transform in transforms.items()}
    return {"layout": f"s4d-{built['kernel']}", **said, **more}


def command(*arguments):
    return main([str(argument) for argument in arguments])


def converted(tmp_path, foreign, mapping, **options):
    torch.save(foreign.state_dict(), tmp_path / "model.pt")
    return convert(tmp_path / "model.pt", tmp_path / "checkpoint", mapping, **options)


def scores_of(checkpoint):
    """The logits of our own model, in float64 by convolution."""
    network = load_network(checkpoint).double()
    with torch.no_grad():
        return network(torch.from_numpy(samples().astype(float))).logits.numpy()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_kernel_and_its_conversion_spike_alike(tmp_path, kind, seed):
    built, stated, _ = KINDS[kind]
    foreign = Foreign(**built, seed=seed).double()  # options make logarithms of what it holds
    mapping = write_map(tmp_path / "map.toml", MODEL | stated, **names_of(kind))
    changes = converted(tmp_path, foreign, mapping).changes
    assert max(changes.values()) < 1e-7

    network = lower(load_checkpoint(tmp_path / "checkpoint"))
    spikes, scores = foreign.run(samples())
    recording = software.run(network, samples(), membranes=needed_membranes(network))
    for i, expected in enumerate(spikes):
        assert 0.05 < expected.mean() < 0.95
        np.testing.assert_array_equal(recording.spikes[f"layer{i}"], expected)
    found = logits(network, samples(), recording)
    np.testing.assert_allclose(found, scores, rtol=0, atol=1e-6 * np.abs(scores).max())


@pytest.mark.parametrize("kind", KINDS)
def test_membranes_are_those_of_the_kernel(tmp_path, kind):
    built, stated, _ = KINDS[kind]
    foreign = Foreign(**built).double()
    mapping = write_map(tmp_path / "map.toml", MODEL | stated, **names_of(kind))
    converted(tmp_path, foreign, mapping)
    layer = load_network(tmp_path / "checkpoint").double().blocks[1].ssm
    u = torch.randn(2, foreign.encoder.out_features, 50, dtype=torch.float64)
    foreign_layer = foreign.s4_layers[1]
    outer = getattr(foreign_layer, "layer", foreign_layer)
    dt, A, B, C = getattr(outer.kernel, "kernel", outer.kernel).modes()
    # The kernel as a sum, in the words of its authors: K[l] = 2 Re sum_n C B w_n abar^l.
    if foreign_layer.bilinear:
        abar, weight = (1 + dt * A / 2) / (1 - dt * A / 2), dt / (1 - dt * A / 2)
    else:
        abar, weight = torch.exp(dt * A), (torch.exp(dt * A) - 1) / A
    K = 2 * ((C * B * weight)[..., None] * abar[..., None] ** torch.arange(50)).sum(1).real
    expected = outer.D.reshape(-1)[:, None] * u
    for k in range(50):
        expected[..., k] += (K[:, : k + 1].flip(-1) * u[..., : k + 1]).sum(-1)
    with torch.no_grad():
        found = layer(u)
    size = float(expected.detach().abs().max())
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-6 * size)


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_sign_is_another_network_and_the_check_finds_it(tmp_path, kind, capsys):
    built, stated, _ = KINDS[kind]
    foreign = Foreign(**built).double()
    _, scores = foreign.run(samples())
    np.savez(tmp_path / "check.npz", inputs=samples(), logits=scores.astype(np.float32))
    names = names_of(kind)
    right = write_map(tmp_path / "map.toml", MODEL | stated, **names)
    turned = dict(names.get("A_imag", {}))
    if turned.get("transform", "none") == "none":
        wrong_names = names | {"A_imag": turned | {"negate": True}}
    else:  # T(-x) is another number, not another sign: turn what goes with lambda
        wrong_names = names | {"B": {"conjugate": True}, "C": {"conjugate": True}}
    wrong = write_map(tmp_path / "wrong.toml", MODEL | stated, **wrong_names)
    torch.save(foreign.state_dict(), tmp_path / "model.pt")
    arguments = ["--check", tmp_path / "check.npz", "--map"]
    assert command("convert", tmp_path / "model.pt", tmp_path / "wrong", *arguments, wrong) == 1
    assert "converts to another network, nothing was written" in capsys.readouterr().out
    assert command("convert", tmp_path / "model.pt", tmp_path / "right", *arguments, right) == 0
    assert "the same class in 4 of 4\n" in capsys.readouterr().out
    assert not (tmp_path / "wrong").exists()
    convert(tmp_path / "model.pt", tmp_path / "wrong", wrong)
    scale = np.abs(scores).max()
    assert np.abs(scores_of(tmp_path / "wrong") - scores).max() > 0.01 * scale
    assert np.abs(scores_of(tmp_path / "right") - scores).max() < 1e-6 * scale


def as_ours(foreign, version):
    """A full kernel's state dict, and a map of it in our own layout that says nothing of signs."""
    kernel, outer = ("kernel.kernel.", "") if version == "v3" else ("layer.kernel.", "layer.")
    parts = {"a": "A_real", "log_dt": "inv_dt"}
    if version == "v3":
        parts = {"a": "inv_A_real", "log_dt": "log_dt"}
    parts |= {"omega": "A_imag", "b": "B", "c": "C"}
    names = {leaf: kernel + name for leaf, name in parts.items()} | {
        "layout": "snn-ssm", "block": "s4_layers.{i}", "norm": "norms.{i}", "d": f"{outer}D",
        "mixing": "output_linear.0",
    }
    return foreign.state_dict(), names


@pytest.mark.parametrize(("version", "unsaid"), [("v3", 0), ("v4", 1)])
def test_a_full_kernel_in_our_layout_is_not_guessed(tmp_path, capsys, version, unsaid):
    foreign = Foreign(kernel=version)
    state, names = as_ours(foreign, version)
    torch.save(state, tmp_path / "model.pt")
    np.savez(tmp_path / "check.npz", inputs=samples(), logits=foreign.run(samples())[1])
    mapping, out = tmp_path / "map.toml", tmp_path / "checkpoint"
    arguments = "convert", tmp_path / "model.pt", out, "--map", mapping
    check = "--check", tmp_path / "check.npz"
    write_map(mapping, **names)
    assert command(*arguments) == 2
    assert "say names.omega.negate, true or false" in capsys.readouterr().err
    assert command(*arguments, *check, "--force") == unsaid
    rotation = {"name": names["omega"], "negate": version == "v4"}
    write_map(mapping, **names | {"omega": rotation})
    assert command(*arguments, *check, "--force") == 0
    write_map(mapping, **names | {"omega": rotation | {"negate": version != "v4"}})
    assert command(*arguments, *check, "--force") == 1
    assert command(*arguments, "--force") == 0  # stated, if wrongly, and nobody asked


def test_conjugates_of_all_three_are_the_same_network(tmp_path):
    foreign = Foreign(kernel="v4")
    plain = place(foreign.numbers(), *model_and_names(tmp_path), "it")
    names = names_of("v4", B={"conjugate": True}, C={"conjugate": True})
    names["A_imag"] = {"transform": "none", "negate": True}
    turned = place(foreign.numbers(), *model_and_names(tmp_path, **names), "it")
    config = load_map(tmp_path / "map.toml")[0]
    one, two = (scores_of(Checkpoint(config, found.arrays)) for found in (plain, turned))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)
    omega = "blocks.0.ssm.omega"
    np.testing.assert_array_equal(plain.arrays[omega], -turned.arrays[omega])


def model_and_names(tmp_path, **names):
    path = write_map(tmp_path / "map.toml", **(names or names_of("v4")))
    return from_dict(ModelConfig, MODEL), load_map(path)[1]


def test_each_array_of_version_4_has_the_place_that_its_equation_says(tmp_path):
    source = Foreign(kernel="v4").numbers()
    arrays = place(source, *model_and_names(tmp_path), "it").arrays
    kernel, block = "s4_layers.1.layer.kernel.", "blocks.1.ssm."
    np.testing.assert_array_equal(arrays[block + "a"], source[kernel + "A_real"])
    np.testing.assert_array_equal(arrays[block + "omega"], -source[kernel + "A_imag"])
    np.testing.assert_array_equal(arrays[block + "log_dt"], source[kernel + "inv_dt"][:, 0])
    np.testing.assert_array_equal(arrays[block + "b"], source[kernel + "B"][0])
    np.testing.assert_array_equal(arrays[block + "c"], source[kernel + "C"])
    np.testing.assert_array_equal(arrays[block + "d"], source["s4_layers.1.layer.D"][0])


X = np.array([-0.7, 0.3, 1.9])
STRICTLY = {
    "exp": np.exp(X), "softplus": np.log(1 + np.exp(X)), "sigmoid": 1 / (1 + np.exp(-X)),
    "relu": np.array([1e-4, 0.3001, 1.9001]), "none": X,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_is_what_its_name_says(transform):
    change = Change(transform=transform)
    if transform != "none":
        for leaf in ("a", "log_dt"):
            np.testing.assert_allclose(change.apply(leaf, X), np.log(STRICTLY[transform]))
    turned = Change(transform=transform, turned=True)
    np.testing.assert_allclose(change.apply("omega", X), STRICTLY[transform])
    np.testing.assert_allclose(turned.apply("omega", X), -STRICTLY[transform])
    np.testing.assert_allclose(
        Change(negate=True, transform=transform).apply("omega", -X), STRICTLY[transform]
    )


def test_an_array_that_stands_for_itself_is_left_alone():
    np.testing.assert_array_equal(Change(transform="exp").apply("a", X), X)
    for leaf in ("a", "omega", "log_dt", "b", "c", "d"):
        np.testing.assert_array_equal(Change().apply(leaf, X), X)
        np.testing.assert_array_equal(Change(negate=True).apply(leaf, X), -X)
    pairs = np.array([[1.0, 2.0], [3.0, -4.0]])
    np.testing.assert_array_equal(Change(conjugate=True).apply("c", pairs), [[1, -2], [3, 4]])


def refusal(source, model, names):
    with pytest.raises(ConvertError) as caught:
        place(source, model, names, "model.pt")
    return str(caught.value).splitlines()


@pytest.mark.parametrize("bad", [0.0, -0.25])
def test_a_rate_that_does_not_decay_is_refused_by_name(tmp_path, bad):
    source = Foreign(kernel="v4").numbers()
    name = "s4_layers.1.layer.kernel.A_real"
    source[name] = source[name].copy()
    source[name][4, 2] = bad
    names = names_of("v4", A_real={"transform": "none"})
    assert refusal(source, *model_and_names(tmp_path, **names))[1:] == [
        "arrays that do not fit; correct [names] or [model]:",
        f"  blocks.1.ssm.a: {name}[4, 2] is {bad}; expected one of which a is a finite number of "
        "float32",
    ]


@pytest.mark.parametrize("ignored", [[], ["*.P", "*.l_kernel"]])
def test_the_low_rank_part_of_s4_is_refused_by_name_even_if_ignored(tmp_path, ignored):
    source = Foreign(kernel="v4").numbers()
    kernel = "s4_layers.0.layer.kernel."
    more = {kernel + "P": np.ones((1, 5, 3, 2)), kernel + "l_kernel": np.array(STEPS)}
    model, names = model_and_names(tmp_path, **names_of("v4", ignore=ignored))
    said = refusal(source | more, model, names)
    assert said[1:4] == [
        "arrays of a kernel whose modes are not diagonal; convert one that is: S4D, mode = "
        "\"diag\":",
        f"  {kernel}P (1, 5, 3, 2), which is not 0",
        f"  {kernel}l_kernel (), which is not 0",
    ]
    zero = {name: np.zeros_like(array) for name, array in more.items()}
    placed = place(source | zero, model, names, "it")
    assert placed.ignored == tuple(zero)
    assert set(placed.arrays) == set(place(source, model, names, "it").arrays)


def test_steps_of_their_own_for_each_mode_have_no_place(tmp_path):
    source = Foreign(kernel="v4").numbers()
    name = "s4_layers.0.layer.kernel.inv_dt"
    said = refusal(source | {name: np.zeros((5, 3))}, *model_and_names(tmp_path))
    assert said[2] == f"  blocks.0.ssm.log_dt: {name} has shape (5, 3); expected (5,)"


def documented():
    """The document's maps of full kernels: all but the first."""
    return re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)[1:]


def in_version_3():
    return Foreign(**DOCUMENTED_SIZE, kernel="v3", sets=2, bilinear=True), {}


def in_a_sequence():
    foreign = Foreign(**DOCUMENTED_SIZE, kernel="v4", real="softplus", step="softplus")
    new = {"encoder": "model.0", "decoder": "model.9"}
    for i in range(4):
        new |= {f"norms.{i}": f"model.{1 + 2 * i}", f"s4_layers.{i}": f"model.{2 + 2 * i}"}
    return foreign, new


def in_another_code():
    """lambda = -exp(A_real) - i A_imag and conj(B): with B conjugated again, that of version 4."""
    foreign = Foreign(**DOCUMENTED_SIZE, kernel="v4")
    new = {"encoder": "encoder", "decoder": "decoder"}
    for i in range(4):
        new[f"norms.{i}"] = f"norms.{i}"
        old, other = f"s4_layers.{i}.layer.", f"layers.{i}.ssm."
        new |= {f"{old}kernel.{part}": other + part for part in ("A_real", "A_imag", "B", "C")}
        new |= {f"{old}kernel.inv_dt": f"{other}log_dt", f"{old}D": f"{other}D"}
        new[f"s4_layers.{i}.output_linear.0"] = f"layers.{i}.out"
    return foreign, new


DOCUMENTED_SIZE = {"inputs": 1, "classes": 10, "h": 128, "depth": 4, "n": 32, "scale": 1 / 255}


@pytest.mark.parametrize(
    ("number", "make"), [(0, in_version_3), (1, in_a_sequence), (2, in_another_code)]
)
def test_the_maps_of_the_document_convert_the_models_that_they_describe(tmp_path, number, make):
    assert len(documented()) == 3
    (tmp_path / "map.toml").write_text(documented()[number])
    stated = tomllib.loads(documented()[number])["model"]
    foreign, new = make()
    inputs = np.random.default_rng(3).integers(0, 256, (2, 1, 20)).astype(np.uint8)
    logits_of_source = foreign.run(inputs)[1]
    state = {}
    for name, tensor in foreign.state_dict().items():
        start = max((old for old in new if name.startswith(f"{old}.") or name == old),
                    key=len, default="")
        state[new.get(start, "") + name[len(start):]] = tensor
        if number == 2 and name.endswith(".B"):
            state[new[start]] = tensor * torch.tensor([1.0, -1.0])
    torch.save(state, tmp_path / "model.pt")
    np.savez(tmp_path / "check.npz", inputs=inputs, logits=logits_of_source)
    placed = convert(
        tmp_path / "model.pt", tmp_path / "checkpoint", tmp_path / "map.toml",
        tmp_path / "check.npz",
    )
    assert placed.comparison.holds and placed.comparison.float64 < 1e-6
    assert load_checkpoint(tmp_path / "checkpoint").config.model.depth == stated["depth"]
