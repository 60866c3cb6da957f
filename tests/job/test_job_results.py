"""The results of a board job: spikes in Neo's files, there and back; gaps between chunks."""

import numpy as np
import pytest

from export.job import chunk as job_chunk
from export.job import results as job_results
from export.samples import neo_files
from export.samples.recording import Recording

neo = pytest.importorskip("neo", reason="Neo is not installed")
pytest.importorskip("scipy", reason="SciPy, which writes Neo's MAT files, is not installed")


@pytest.mark.parametrize("timestep", [1.0, 0.1])
def test_spikes_come_back_from_neo(tmp_path, timestep):
    rng = np.random.default_rng(1)
    spikes = {"a": rng.random((3, 50, 4)) < 0.3, "b": np.zeros((3, 50, 2), bool)}
    spikes["b"][1, 4, 1] = True  # one neuron is silent, the other spikes once
    block = neo_files.to_block(Recording("nest", timestep, spikes), start=6, word="x")
    (tmp_path / "r.mat").write_bytes(neo_files.block_bytes(block))
    again = neo.io.NeoMatlabIO(str(tmp_path / "r.mat")).read_block()
    assert (again.annotations["start"], again.annotations["word"]) == (6, "x")
    train = again.segments[0].spiketrains[5]
    assert (train.annotations["population"], train.annotations["source_index"]) == ("b", 1)
    assert train.rescale("ms").magnitude == pytest.approx([(50 + 4 + 1) * timestep])
    assert float(train.t_stop.rescale("ms")) == pytest.approx(150 * timestep)


def test_gaps_between_chunks():
    def chunk(start, stop):
        values = dict.fromkeys(job_chunk.Chunk.__dataclass_fields__, 0)
        return job_chunk.Chunk(**(values | {"start": start, "stop": stop}))

    assert job_results.gaps([], 5) == [(0, 5)]
    assert job_results.gaps([chunk(0, 2), chunk(2, 5)], 5) == []
    assert job_results.gaps([chunk(1, 2), chunk(3, 4)], 6) == [(0, 1), (2, 3), (4, 6)]
