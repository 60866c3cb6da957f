"""What does not go together is listed, all at once, and nothing is written."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from support.foreign import MODEL, Foreign, write_map  # noqa: E402

from export.command.arguments import main  # noqa: E402
from pynn_models import SnnSsmError  # noqa: E402
from snn_ssm.config import ModelConfig, from_dict  # noqa: E402
from snn_ssm.convert.conversion import ConvertError, convert, place  # noqa: E402
from snn_ssm.convert.names import LAYOUTS, Names  # noqa: E402
from snn_ssm.files import FileError  # noqa: E402

NAMES = Names("s4d", LAYOUTS["s4d"])
SOURCE = Foreign().numbers()


def refusal(source, names=NAMES, **model):
    """The lines of the message that refuses these arrays."""
    with pytest.raises(ConvertError) as caught:
        place(source, from_dict(ModelConfig, MODEL | model), names, "model.pt")
    return str(caught.value).splitlines()


def without(*names):
    return {name: array for name, array in SOURCE.items() if name not in names}


def test_everything_that_is_wrong_is_listed_at_once_and_nothing_is_written(tmp_path, capsys):
    state = Foreign().state_dict()
    state["ema.decay"] = torch.ones(())
    state["s4_layers.0.skip.weight"] = torch.ones(2, 3)
    del state["s4_layers.0.D"], state["decoder.bias"]
    state["s4_layers.1.kernel.A_imag"] = torch.ones(3, 5)
    state["norms.1.running_var"][2] = torch.nan
    source, out = tmp_path / "model.pt", tmp_path / "checkpoint"
    torch.save(state, source)
    mapping = write_map(tmp_path / "map.toml")
    assert main(["convert", str(source), str(out), "--map", str(mapping)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"snn-ssm: ConvertError: {source} was not converted, nothing was written.",
        "arrays without a place; name them in [names], or list them in names.ignore:",
        "  ema.decay ()",
        "  s4_layers.0.skip.weight (2, 3)",
        "arrays of the checkpoint without a source; correct [names] or [model], or list in "
        "names.zeros what is 0:",
        "  blocks.0.ssm.d (5,), looked for as s4_layers.0.D",
        "  decoder.bias (3,), looked for as decoder.bias",
        "arrays that do not fit; correct [names] or [model]:",
        "  blocks.1.norm.running_var: norms.1.running_var[2] is nan; expected a finite number of "
        "float32",
        "  blocks.1.ssm.omega: s4_layers.1.kernel.A_imag has shape (3, 5); expected (5, 3)",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.toml", "model.pt"]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("encoder.weight", (2, 5)),  # transposed
        ("decoder.weight", (15,)),  # as many values
        ("s4_layers.0.kernel.C", (5, 3)),  # real where it should be complex
        ("s4_layers.0.kernel.log_dt", ()),
        ("norms.0.num_batches_tracked", (2,)),
    ],
)
def test_a_wrong_shape(name, shape):
    lines = refusal(SOURCE | {name: np.ones(shape)})
    assert lines[1] == "arrays that do not fit; correct [names] or [model]:"
    assert len(lines) == 3 and f"{name} has shape {shape}; expected (" in lines[2]


def test_a_model_of_another_size_is_told_by_every_array_of_it():
    lines = refusal(SOURCE, modes=4)
    assert len(lines) == 2 + 3 * 2  # log_A_real, A_imag and C of two blocks
    assert lines[2] == (
        "  blocks.0.ssm.a: s4_layers.0.kernel.log_A_real has shape (5, 3); expected (5, 4)"
    )
    lines = refusal(SOURCE, mixing="glu")
    assert "output_linear.0.weight has shape (5, 5, 1); expected (10, 5)" in lines[2]
    lines = refusal(SOURCE, depth=1)
    assert len(lines) == 2 + 12 and all("s4_layers.1" in x or "norms.1" in x for x in lines[2:])
    assert "  blocks.2.ssm.a (5, 3), looked for as s4_layers.2.kernel.log_A_real" in refusal(
        SOURCE, depth=3
    )


@pytest.mark.parametrize(
    ("kind", "bad", "found"),
    [
        (np.float32, np.inf, "inf"),
        (np.float32, np.nan, "nan"),
        (np.float64, -1e39, "-1e+39"),  # finite, but not in float32
    ],
)
def test_a_value_that_is_not_finite_in_float32(kind, bad, found):
    name = "s4_layers.0.kernel.log_A_real"
    array = SOURCE[name].astype(kind)
    array[4, 1] = bad
    assert refusal(SOURCE | {name: array})[2] == (
        f"  blocks.0.ssm.a: {name}[4, 1] is {found}; expected a finite number of float32"
    )


def test_a_counter_that_is_no_number():
    name = "norms.0.num_batches_tracked"
    assert refusal(SOURCE | {name: np.array(np.nan)})[2] == (
        f"  blocks.0.norm.num_batches_tracked: {name}[] is nan; expected a finite number of int64"
    )


@pytest.mark.parametrize("kind", [np.complex64, np.bool_])
def test_a_type_that_has_no_place(kind):
    lines = refusal(SOURCE | {"decoder.bias": np.zeros(3, kind)})
    assert lines[2] == (
        f"  decoder.bias: decoder.bias is of type {np.dtype(kind)}; expected real numbers"
    )


def test_one_source_for_two_places():
    names = replace(NAMES, parts=NAMES.parts | {"norm": "norms.0"}, ignore=("norms.1.*",))
    lines = refusal(SOURCE, names)
    assert lines[1] == "arrays with several places; correct [names]:"
    assert len(lines) == 2 + 5
    assert "  norms.0.weight: blocks.0.norm.weight, blocks.1.norm.weight" in lines


def test_ignoring_an_array_leaves_its_place_empty():
    lines = refusal(SOURCE, replace(NAMES, ignore=("*.D",)))
    assert lines[2:] == [
        f"  blocks.{i}.ssm.d (5,), looked for as s4_layers.{i}.D" for i in range(2)
    ]


def test_zeros_are_only_for_what_the_patterns_name():
    source = without("s4_layers.0.D", "s4_layers.1.D", "norms.0.num_batches_tracked")
    names = replace(NAMES, zeros=("blocks.0.*",))
    assert refusal(source, names)[2:] == ["  blocks.1.ssm.d (5,), looked for as s4_layers.1.D"]
    placed = place(
        source, from_dict(ModelConfig, MODEL), replace(names, zeros=("*.d", "*tracked")), "it"
    )
    assert set(placed.zeros) == {
        "blocks.0.norm.num_batches_tracked", "blocks.0.ssm.d", "blocks.1.ssm.d",
    }
    assert placed.arrays["blocks.1.ssm.d"].tolist() == [0] * 5
    assert placed.arrays["blocks.0.norm.num_batches_tracked"].dtype == np.int64
    assert not set(placed.zeros) & set(placed.changes)


def test_patterns_tell_upper_from_lower_case():
    lines = refusal(without("s4_layers.0.D"), replace(NAMES, zeros=("blocks.0.ssm.D",)))
    assert lines[2:] == ["  blocks.0.ssm.d (5,), looked for as s4_layers.0.D"]


def test_an_existing_checkpoint_is_left_alone(tmp_path):
    torch.save(Foreign().state_dict(), tmp_path / "model.pt")
    out, mapping = tmp_path / "checkpoint", write_map(tmp_path / "map.toml")
    out.mkdir()
    (out / "mine").write_text("precious")
    with pytest.raises(FileError, match=r"the checkpoint .*checkpoint exists; nothing was written"):
        convert(tmp_path / "model.pt", out, mapping)
    assert [path.name for path in out.iterdir()] == ["mine"]
    (out / "mine").unlink()
    convert(tmp_path / "model.pt", out, mapping)  # empty: nothing can be lost
    with pytest.raises(FileError, match="exists; nothing was written"):
        convert(tmp_path / "model.pt", out, mapping)


@pytest.mark.parametrize("missing", ["model.pt", "map.toml"])
def test_a_missing_file_is_named(tmp_path, missing, capsys):
    torch.save(Foreign().state_dict(), tmp_path / "model.pt")
    write_map(tmp_path / "map.toml")
    (tmp_path / missing).unlink()
    arguments = [tmp_path / "model.pt", tmp_path / "out", "--map", tmp_path / "map.toml"]
    assert main(["convert", *map(str, arguments)]) == 2
    what = {"model.pt": "model", "map.toml": "map"}[missing]
    assert capsys.readouterr().err == (
        f"snn-ssm: FileError: cannot read {what} {tmp_path / missing}: No such file or directory. "
        "Check the path.\n"
    )
    assert not (tmp_path / "out").exists()


def test_the_command_asks_for_a_map(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["convert", str(tmp_path / "model.pt"), str(tmp_path / "out")])
    assert "--map" in capsys.readouterr().err


def test_errors_are_the_projects_own():
    assert issubclass(ConvertError, SnnSsmError)


def test_a_complex_array_is_two_real_ones_of_modes_only():
    twice = {"encoder.weight": np.ones(5, np.complex64), "decoder.bias": np.ones(3, np.complex64)}
    lines = refusal({**SOURCE, **twice})
    assert lines[-2:] == [
        "  encoder.weight: encoder.weight is of type complex64; expected real numbers",
        "  decoder.bias: decoder.bias is of type complex64; expected real numbers",
    ]


def test_a_variance_below_0():
    variance = SOURCE["norms.1.running_var"].copy()
    variance[2] = -0.5
    said = refusal({**SOURCE, "norms.1.running_var": variance})[-1]
    assert said.endswith(": norms.1.running_var[2] is -0.5; expected a variance, from 0 on")
