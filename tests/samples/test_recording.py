"""Recordings: to a file and back, to Neo with the times of the spikes, and joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gated_networks import KINDS, lowered

from export.samples.recording import Recording, RecordingError, concatenate
from export.software import simulation as software
from pynn_models import SnnSsmError
from snn_ssm.files import FileError, pack_arrays, seal_arrays


def recording_of(seed=0, timestep=0.5, samples=2, steps=7, sizes=(3, 9)):
    rng = np.random.default_rng(seed)
    shapes = {f"layer{i}": (samples, steps, size) for i, size in enumerate(sizes)}
    return Recording(
        "software",
        timestep,
        {name: rng.random(shape) < 0.4 for name, shape in shapes.items()},
        {"layer0": rng.normal(size=shapes["layer0"]), "read.out": rng.normal(size=(samples, 1, 2))},
    )


def assert_same(one, two):
    assert (one.backend, one.timestep) == (two.backend, two.timestep)
    for kind in ("spikes", "membranes"):
        assert set(getattr(one, kind)) == set(getattr(two, kind))
        for name, values in getattr(two, kind).items():
            found = getattr(one, kind)[name]
            assert found.dtype == values.dtype and found.shape == values.shape
            assert found.tobytes() == values.tobytes()


@given(
    seed=st.integers(0, 10**6),
    timestep=st.floats(1e-3, 10),
    steps=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
def test_there_and_back_bit_for_bit(tmp_path_factory, seed, timestep, steps, sizes):
    path = tmp_path_factory.mktemp("recording") / "r.safetensors"
    original = recording_of(seed, timestep, 2, steps, sizes)
    original.save(path)
    assert_same(Recording.load(path), original)


@pytest.mark.parametrize("kind", KINDS)
def test_runs_of_every_kind_there_and_back(tmp_path, kind):
    _, network, samples = lowered(kind, steps=6)
    original = software.run(network, samples, membranes=[p.name for p in network.populations])
    original.save(tmp_path / "r")
    assert_same(Recording.load(tmp_path / "r"), original)


def test_spikes_are_stored_as_bits(tmp_path):
    big = Recording("software", 1.0, {"layer0": np.ones((4, 100, 64), bool)})
    big.save(tmp_path / "r")
    assert (tmp_path / "r").stat().st_size < 4 * 100 * 8 + 500


def test_a_file_that_is_no_recording(tmp_path):
    (tmp_path / "other").write_bytes(pack_arrays({"a": np.ones(3)}))
    with pytest.raises(RecordingError, match="other is no recording"):
        Recording.load(tmp_path / "other")
    with pytest.raises(FileError, match="cannot read recording .*none"):
        Recording.load(tmp_path / "none")
    recording_of().save(tmp_path / "r")
    (tmp_path / "cut").write_bytes((tmp_path / "r").read_bytes()[:-9])
    with pytest.raises(FileError, match="recording .*cut is no valid safetensors file"):
        Recording.load(tmp_path / "cut")
    assert issubclass(RecordingError, SnnSsmError)


@pytest.mark.parametrize(("arrays", "metadata"), [
    ({"spikes.a": np.ones((1, 1, 1), np.uint8)}, {"backend": "nest", "timestep": "1.0"}),
    ({"spikes.a": np.ones((1, 1, 1), np.uint8)},
     {"backend": "nest", "timestep": "1.0", "size.a": "many"}),
    ({"odd": np.ones(1)}, {"backend": "nest", "timestep": "1.0"}),
    ({"other.a": np.ones(1)}, {"backend": "nest", "timestep": "1.0"}),
    ({}, {"backend": "nest"}),
    ({}, {"backend": "nest", "timestep": "fast"}),
], ids=["no size", "bad size", "no kind", "other kind", "no timestep", "bad timestep"])
def test_a_recording_that_another_program_spoiled(tmp_path, arrays, metadata):
    path = tmp_path / "spoiled"
    path.write_bytes(pack_arrays(arrays, metadata))
    with pytest.raises(RecordingError, match="spoiled"):
        Recording.load(path)


@pytest.mark.parametrize("timestep", [1.0, 0.5, 0.1])
def test_neo_spike_trains_stand_at_the_end_of_their_steps(timestep):
    pytest.importorskip("neo", reason="Neo is not installed")
    original = recording_of(timestep=timestep)
    block = original.to_neo()
    assert block.name == "software" and [s.name for s in block.segments] == ["sample 0", "sample 1"]
    for b, segment in enumerate(block.segments):
        assert len(segment.spiketrains) == 3 + 9
        for train in segment.spiketrains:
            name, h = train.annotations["population"], train.annotations["source_index"]
            steps = np.flatnonzero(original.spikes[name][b, :, h])
            assert str(train.dimensionality) == "ms"
            assert train.magnitude == pytest.approx((steps + 1) * timestep, rel=1e-12)
            assert float(train.t_stop) == pytest.approx(7 * timestep)
            back = np.rint(train.magnitude / timestep).astype(int) - 1
            assert (back == steps).all()


def test_neo_signals_are_the_membranes():
    pytest.importorskip("neo", reason="Neo is not installed")
    original = recording_of(timestep=0.5)
    for b, segment in enumerate(original.to_neo().segments):
        signal = next(s for s in segment.analogsignals if s.name == "layer0")
        assert (np.asarray(signal) == original.membranes["layer0"][b]).all()
        assert float(signal.t_start) == 0.5 and float(signal.sampling_period) == 0.5
        assert signal.times.magnitude == pytest.approx((np.arange(7) + 1) * 0.5)


def test_a_spike_in_every_step_is_allowed():
    pytest.importorskip("neo", reason="Neo is not installed")
    full = Recording("nest", 0.1, {"layer0": np.ones((1, 784, 1), bool)})
    assert len(full.to_neo().segments[0].spiketrains[0]) == 784


def test_joined_recordings_hold_the_samples_in_order():
    parts = [recording_of(seed, samples=count) for seed, count in ((0, 2), (1, 1), (2, 3))]
    whole = concatenate(parts)
    assert (whole.backend, whole.timestep) == ("software", 0.5)
    start = 0
    for part in parts:
        stop = start + len(part.spikes["layer0"])
        for kind in ("spikes", "membranes"):
            for name, values in getattr(part, kind).items():
                assert (getattr(whole, kind)[name][start:stop] == values).all()
        start = stop
    assert len(whole.spikes["layer0"]) == start


def test_one_flipped_bit_anywhere_is_refused(tmp_path):
    path = tmp_path / "r"
    original = recording_of(samples=1, steps=3, sizes=(3,))
    with_logits = Recording(
        original.backend, original.timestep, original.spikes, {}, np.array([[0.25, -1.0]])
    )
    with_logits.save(path)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises((FileError, RecordingError)):
            Recording.load(path)
    path.write_bytes(whole)
    found = Recording.load(path)
    assert_same(found, with_logits)
    assert (found.logits == with_logits.logits).all()


@pytest.mark.parametrize(("arrays", "metadata"), [
    ({"spikes.a": np.ones((2, 3), np.uint8)}, {"size.a": "3"}),
    ({"spikes.a": np.ones((2, 3, 1), np.uint8)}, {"size.a": "9"}),
    ({"spikes.a": np.ones((2, 3, 1), np.uint8)}, {"size.a": "-1"}),
    ({"spikes.a": np.ones((2, 3, 1), np.uint8)}, {"size.a": "9" * 5000}),
    ({"spikes.a": np.ones((2, 3, 1), np.int64)}, {"size.a": "3"}),
    ({"spikes.a": np.ones((2, 3, 1), np.uint8), "spikes.b": np.ones((2, 4, 1), np.uint8)},
     {"size.a": "3", "size.b": "3"}),
    ({"membranes.a": np.ones((2, 3, 1), np.float32)}, {}),
    ({"membranes.a": np.ones((2, 3, 1)), "logits": np.ones((1, 3))}, {}),
    ({"logits": np.ones(3)}, {}),
    ({}, {"timestep": "nan"}),
    ({}, {"timestep": "-1"}),
])
def test_a_sealed_file_with_arrays_that_do_not_go_together(tmp_path, arrays, metadata):
    path = tmp_path / "spoiled"
    path.write_bytes(seal_arrays(arrays, {"backend": "nest", "timestep": "1.0"} | metadata))
    with pytest.raises(RecordingError, match="spoiled was altered, or is of another version"):
        Recording.load(path)
