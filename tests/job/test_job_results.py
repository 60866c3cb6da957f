"""The results of a board job: spikes in Neo's files, there and back; gaps between chunks."""

import numpy as np
import pytest

from export.job import results as job_results
from export.samples import neo_files
from export.samples.recording import Recording, RecordingError

pytest.importorskip("scipy", reason="SciPy, which writes Neo's MAT files, is not installed")


@pytest.mark.parametrize("timestep", [1.0, 0.1])
def test_spikes_come_back_from_neo(tmp_path, timestep):
    rng = np.random.default_rng(1)
    spikes = {"a": rng.random((3, 50, 4)) < 0.3, "b": np.zeros((3, 50, 2), bool)}
    spikes["b"][1, 4, 1] = True  # one neuron is silent, the other spikes once
    block = neo_files.to_block(Recording("nest", timestep, spikes), start=6, word="x")
    (tmp_path / "r.mat").write_bytes(neo_files.block_bytes(block))
    again = neo_files.load_block(tmp_path / "r.mat")
    assert (again.annotations["start"], again.annotations["word"]) == (6, "x")
    train = again.segments[0].spiketrains[5]
    assert (train.annotations["population"], train.annotations["source_index"]) == ("b", 1)
    assert train.rescale("ms").magnitude == pytest.approx([(50 + 4 + 1) * timestep])
    assert float(train.t_stop.rescale("ms")) == pytest.approx(150 * timestep)
    recording = neo_files.from_block(again)
    assert (recording.backend, recording.timestep) == ("nest", timestep)
    assert set(recording.spikes) == {"a", "b"}
    for name in spikes:
        np.testing.assert_array_equal(recording.spikes[name], spikes[name])


def test_a_file_that_is_no_result(tmp_path):
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(RecordingError, match=r"x\.mat cannot be read as a Neo block"):
        neo_files.load_block(tmp_path / "x.mat")
    plain = Recording("nest", 1.0, {"a": np.ones((1, 2, 1), bool)}).to_neo()
    with pytest.raises(RecordingError, match="no recording of samples back to back"):
        neo_files.from_block(plain)
    early = neo_files.to_block(Recording("nest", 1.0, {"a": np.ones((1, 2, 1), bool)}))
    early.segments[0].spiketrains[0][0] = 0 * early.segments[0].spiketrains[0].units
    with pytest.raises(RecordingError, match="a spike before the end of the first step"):
        neo_files.from_block(early)
    early.segments.clear()
    with pytest.raises(RecordingError, match="no recording of samples back to back"):
        neo_files.from_block(early)
    early.annotations["steps"] = None
    with pytest.raises(RecordingError, match="no recording of samples back to back"):
        neo_files.from_block(early)


def test_gaps_between_chunks():
    def chunk(start, stop):
        values = dict.fromkeys(job_results.Chunk.__dataclass_fields__, 0)
        return job_results.Chunk(**(values | {"start": start, "stop": stop}))

    assert job_results.gaps([], 5) == [(0, 5)]
    assert job_results.gaps([chunk(0, 2), chunk(2, 5)], 5) == []
    assert job_results.gaps([chunk(1, 2), chunk(3, 4)], 6) == [(0, 1), (2, 3), (4, 6)]
