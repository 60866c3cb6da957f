"""Every file format that is read, as what can be fuzzed: files, their mutants, and a reader.

A mutant is a table of file names and contents. A format's mutations are of three kinds: of bytes
(every file), re-hashed (bytes or structure, the digests made to fit as a stranger would), and of
structure.
"""

import hashlib
import io
import json
import lzma
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from export.description import storage
from export.description.inspection import describe
from export.job import chunk as job_chunk
from export.job import results as job_results
from export.lowering.network import lower
from export.samples.recording import Recording
from export.software import simulation as software
from snn_ssm import config as configuration
from snn_ssm.checkpoint import load_checkpoint, save_checkpoint
from snn_ssm.config import Config, ModelConfig, from_dict
from snn_ssm.convert.check import read_check
from snn_ssm.convert.names import load_map
from snn_ssm.convert.source import read_state
from snn_ssm.files import pack_arrays, seal_arrays, sha256
from snn_ssm.results.page import read_metrics
from snn_ssm.tasks import read_samples
from snn_ssm.tasks.image import read_batch
from snn_ssm.tasks.listops import read_table
from snn_ssm.tasks.mitbih import unpack
from snn_ssm.tasks.mnist import read_idx
from snn_ssm.tasks.pathfinder import read_metadata
from snn_ssm.tasks.ragged import join, read_packed, read_ragged
from snn_ssm.tasks.retrieval import RETRIEVAL
from snn_ssm.tasks.wfdb import read_recording
from snn_ssm.training.run_state import Progress, load_state, random_state, save_state
from support import mutants
from support.cell_parts import with_parts
from support.files import write_idx
from support.foreign import MODEL, Foreign, write_map
from support.job_runs import CHECKPOINT, SAMPLES
from support.mitbih_files import EVERY, packed_arrays, recordings_of, write_official
from support.random_networks import checkpoint_of
from support.toy_problem import config_of


@dataclass
class Format:
    """``make(directory)`` writes sound files, ``read(directory)`` reads them.

    ``structural``: functions (rng, files) -> files.
    """

    name: str
    make: object
    read: object
    structural: list = field(default_factory=list)


def mutate(fmt, rng, files):
    """A mutant of a format's files, and what kind of one it is."""
    kind = int(rng.integers(0, 1 + 2 * len(fmt.structural)))
    if kind == 0 or not fmt.structural:
        name = sorted(files)[int(rng.integers(0, len(files)))]
        return files | {name: mutants.of_bytes(rng, files[name])}, "bytes"
    change = fmt.structural[(kind - 1) % len(fmt.structural)]
    return change(rng, dict(files)), change.__name__


# Pieces of safetensors.

def _split(data):
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def _joined(header, rest):
    return len(header).to_bytes(8, "little") + header + rest


def _header_mutant(rng, data):
    header, rest = _split(data)
    return _joined(mutants.as_json(mutants.of_structure(rng, header)), rest)


def _arrays_of(data, directory=Path("/nonexistent")):
    header, rest = _split(data)
    kinds = {"F32": "<f4", "F64": "<f8", "U8": "u1", "I64": "<i8", "U32": "<u4"}
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, stop = entry["data_offsets"]
        flat = np.frombuffer(rest[begin:stop], kinds[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"])
    return arrays, metadata


# Networks.

def make_network(directory):
    looped = checkpoint_of(recurrent=True, delays=3)  # single synapses, loops and lags, too
    storage.save_network(with_parts(lower(looped), 2), directory / "n")
    for path in list((directory / "n").iterdir()):
        path.rename(directory / path.name)
    (directory / "n").rmdir()


def read_network(directory):
    network = storage.load_network(directory)
    describe(network)
    if network.steps <= 50 and network.source.encoding == "bits":
        shape = (1, network.source.channels, network.steps)
        software.run(network, np.zeros(shape, np.int64))


def _sealed_network(files, description, arrays_file):
    """The two files, with the digests that belong to them."""
    text = mutants.as_json(description)
    try:
        canonical = json.dumps(json.loads(text), sort_keys=True).encode()
    except (ValueError, RecursionError):
        canonical = b""
    arrays, _ = arrays_file
    data = pack_arrays(arrays, {"description_sha256": sha256(canonical)})
    if isinstance(description, dict):
        description = description | {"arrays_sha256": sha256(data)}
    return files | {"network.json": mutants.as_json(description), "arrays.safetensors": data}


def network_description(rng, files):
    description = json.loads(files["network.json"])
    del description["arrays_sha256"]
    mutant = mutants.of_structure(rng, description)
    return _sealed_network(files, mutant, _arrays_of(files["arrays.safetensors"]))


def network_arrays(rng, files):
    description = json.loads(files["network.json"])
    del description["arrays_sha256"]
    arrays, metadata = _arrays_of(files["arrays.safetensors"])
    return _sealed_network(files, description, (mutants.of_arrays(rng, arrays), metadata))


def network_header(rng, files):
    data = _header_mutant(rng, files["arrays.safetensors"])
    description = json.loads(files["network.json"]) | {"arrays_sha256": sha256(data)}
    return files | {"arrays.safetensors": data, "network.json": json.dumps(description).encode()}


# Checkpoints and configurations.

def make_checkpoint(directory):
    save_checkpoint(directory, CHECKPOINT)


def read_checkpoint(directory):
    lower(load_checkpoint(directory))


def _sealed_checkpoint(files, text, arrays):
    data = pack_arrays(arrays, {"schema": "1", "config_sha256": sha256(text)})
    stamp = f'\n[checkpoint]\nschema = 1\nmodel_sha256 = "{sha256(data)}"\n'.encode()
    return files | {"config.toml": text + stamp, "model.safetensors": data}


def checkpoint_configuration(rng, files):
    table = tomllib.loads(files["config.toml"].decode())
    del table["checkpoint"]
    text = mutants.as_toml(mutants.of_structure(rng, table))
    return _sealed_checkpoint(files, text, _arrays_of(files["model.safetensors"])[0])


def checkpoint_arrays(rng, files):
    text = files["config.toml"].partition(b"\n[checkpoint]\n")[0]
    arrays, _ = _arrays_of(files["model.safetensors"])
    return _sealed_checkpoint(files, text, mutants.of_arrays(rng, arrays))


def make_configuration(directory):
    (directory / "config.toml").write_text(configuration.dumps(Config()))


def read_configuration(directory):
    configuration.load(directory / "config.toml")


def configuration_table(rng, files):
    table = tomllib.loads(files["config.toml"].decode())
    return files | {"config.toml": mutants.as_toml(mutants.of_structure(rng, table))}


# The state of a run.

CONFIG = config_of()
RANDOM = [random_state(torch.device("cpu"))]


def _stepped():
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return network, optimiser


def make_state(directory):
    save_state(directory, CONFIG, Progress(data={"train": "1"}), *_stepped(), RANDOM)


def read_run_state(directory):
    network, optimiser = _stepped()
    load_state(directory, CONFIG, network, optimiser, RANDOM, {"train": "1"})
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()


def _sealed_file(name):
    def arrays(rng, files):
        found, metadata = _arrays_of(files[name])
        metadata.pop("sha256", None)
        return files | {name: seal_arrays(mutants.of_arrays(rng, found), metadata)}

    def metadata(rng, files):
        found, table = _arrays_of(files[name])
        table.pop("sha256", None)
        key = sorted(table)[int(rng.integers(0, len(table)))]
        try:
            value = mutants.as_json(mutants.of_structure(rng, json.loads(table[key]))).decode()
        except (ValueError, TypeError):
            value = mutants.of_bytes(rng, table[key].encode()).decode("latin-1")
        return files | {name: seal_arrays(found, table | {key: value})}

    def header(rng, files):
        return files | {name: _header_mutant(rng, files[name])}

    return [arrays, metadata, header]


# Recordings and the results of jobs.

def make_recording(directory):
    network = with_parts(lower(CHECKPOINT), 2)  # bits of one population, counts of another
    software.run(network, SAMPLES.inputs[:2], membranes=["readout"]).save(directory / "r")


def read_recording_file(directory):
    Recording.load(directory / "r")


NETWORK = lower(CHECKPOINT)


def make_chunk(directory):
    recording = software.run(NETWORK, SAMPLES.inputs[:2])
    data = Recording("software", recording.timestep, recording.spikes).packed()
    chunk = job_chunk.Chunk(
        job_chunk.SCHEMA, "software", "1", "2", 2, 0, 2, sha256(data), 1, [0, 1], {"layer0": 3},
        0.5,
    )
    (directory / chunk.file).write_bytes(data)
    (directory / f"{chunk.name}.json").write_bytes(chunk.packed())


def read_results(directory):
    chunks, broken = job_results.read_chunks(directory)
    for chunk in chunks:
        recording = job_results.recorded(directory, chunk, NETWORK)
        job_results.scores_in(NETWORK, SAMPLES.inputs[:2], recording, None)
    if broken:
        raise job_chunk.JobError(str(broken))


def chunk_fields(rng, files):
    name = "samples-000000-000002.json"
    content = json.loads(files[name])
    del content["json_sha256"]
    mutant = mutants.of_structure(rng, content)
    text = mutants.as_json(mutant)
    try:
        seal = sha256(json.dumps(json.loads(text), sort_keys=True).encode())
    except (ValueError, RecursionError):
        seal = ""
    return files | {name: mutants.as_json(mutant | {"json_sha256": seal})}


def chunk_recording(rng, files):
    name = "samples-000000-000002.safetensors"
    found, metadata = _arrays_of(files[name])
    metadata.pop("sha256")
    data = seal_arrays(mutants.of_arrays(rng, found), metadata)
    content = json.loads(files["samples-000000-000002.json"]) | {"sha256": sha256(data)}
    del content["json_sha256"]
    seal = sha256(json.dumps(content, sort_keys=True).encode())
    text = json.dumps(content | {"json_sha256": seal}).encode()
    return files | {name: data, "samples-000000-000002.json": text}


# Archives of NumPy's.

def _npz(arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def _npz_mutations(name, arrays):
    def of_arrays(rng, files):
        return files | {name: _npz(mutants.of_arrays(rng, arrays))}

    def of_members(rng, files):
        """The bytes of a member altered, its checksum made to fit."""
        content = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(files[name])) as old, zipfile.ZipFile(content, "w") as new:
            names = old.namelist()
            chosen = names[int(rng.integers(0, len(names)))]
            for member in names:
                data = old.read(member)
                if member == chosen:
                    data = mutants.of_bytes(rng, data[:128]) + data[128:]
                new.writestr(member, data)
        return files | {name: content.getvalue()}

    return [of_arrays, of_members]


RNG = np.random.default_rng(0)
OWN = {"inputs": RNG.integers(0, 8, (3, 1, 12)), "labels": np.array([0, 1, 2])}
LISTS = join([b"\x01\x02\x03", b"", b"\x0b\x01\x0f"])
LISTOPS = {"values": LISTS.values, "offsets": LISTS.offsets, "labels": np.array([1, 0, 2])}
CHECK = {"inputs": RNG.integers(0, 8, (3, 2, 12)), "logits": RNG.normal(size=(3, 3))}
INDEX = {"offsets": np.array([0, 3, 5]), "label": np.array([0, 1])}
MITBIH = packed_arrays({name: r for name, r in recordings_of().items() if name in EVERY[:2]})


def _npz_format(name, file, arrays, read):
    def make(directory):
        (directory / file).write_bytes(_npz(arrays))

    return Format(name, make, lambda d: read(d / file), _npz_mutations(file, arrays))


def make_packed(directory):
    (directory / "c.xz").write_bytes(lzma.compress(b"hello"))
    (directory / "i.npz").write_bytes(_npz(INDEX))


# Texts and pictures of tasks.

def make_idx(directory):
    for name in ("f.gz", "f"):
        write_idx(directory / name, np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4))


def read_both_idx(directory):
    digest = hashlib.sha256(b"").hexdigest()
    for name in ("f", "f.gz"):
        read_idx(directory / name, (2, 3, 4))
    assert digest


def make_wfdb(directory):
    write_official(directory, "100", recordings_of()["100"])


def make_tsv(directory):
    lines = b"Source\tTarget\n( [MAX 2 9 ] )\t9\n[SM 1 2 ]\t3\n"
    (directory / "basic_test.tsv").write_bytes(lines)


def make_metadata(directory):
    (directory / "metadata").mkdir(exist_ok=True)
    (directory / "0.npy").write_text("imgs/0 sample_0.png 0 1 x\nimgs/0 sample_1.png 1 0 x\n")


def read_paths(directory):
    (directory / "metadata").mkdir(exist_ok=True)
    (directory / "metadata" / "0.npy").write_bytes((directory / "0.npy").read_bytes())
    read_metadata(directory)


def make_pairs(directory):
    (directory / "new_aan_pairs.test.tsv").write_bytes(b"1.0\ta\tb\tone\ttwo\n0.0\tc\td\tx\ty\n")


def read_pairs(directory):
    task = configuration.TaskConfig("retrieval", 8)
    RETRIEVAL.load(directory, "test", task)


# Models of others.

def make_torch(directory):
    torch.manual_seed(0)
    torch.save(Foreign().state_dict() | {"best": np.float64(0.5)}, directory / "m.pt")


def make_safetensors(directory):
    torch.manual_seed(0)
    arrays = {k: v.numpy() for k, v in Foreign().state_dict().items()}
    (directory / "m").write_bytes(pack_arrays(arrays))


def safetensors_header(rng, files):
    return files | {"m": _header_mutant(rng, files["m"])}


def torch_pickle(rng, files):
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files["m.pt"])) as old, zipfile.ZipFile(content, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, mutants.of_bytes(rng, data) if member.endswith("pkl") else data)
    return files | {"m.pt": content.getvalue()}


def make_map(directory):
    write_map(
        directory / "map.toml", layout="s4d-v3", ignore=["a.*"], key="state_dict", prefix="net.",
        block={"name": "{i}", "offset": 2, "stride": 2}, C={"conjugate": True},
        inv_A_real={"name": "rate", "negate": True, "transform": "softplus"},
    )


def map_table(rng, files):
    table = tomllib.loads(files["map.toml"].decode())
    return files | {"map.toml": mutants.as_toml(mutants.of_structure(rng, table))}


def make_metrics(directory):
    epochs = [{"epoch": 1, "loss": 0.5}]
    operations = {"Effective_ACs": 5.0e6, "Effective_MACs": 31234, "Dense": 1.2e9}
    row = {"name": "N", "count": 1234, "sensitivity": 0.5, "predictivity": 0.25}
    metrics = {
        "task": "mitbih", "model": "GSU", "test_accuracy": 0.98, "spike_rates": [0.3, 0.5],
        "synaptic_operations": operations, "steps": 784, "parameters": 43018, "epochs": epochs,
        "init": None, "train_samples": 60000, "hardware": "x", "seconds": 40.0, "classes": [row],
    }
    (directory / "m.json").write_text(json.dumps(metrics))


def metrics_table(rng, files):
    table = json.loads(files["m.json"])
    return files | {"m.json": mutants.as_json(mutants.of_structure(rng, table))}


def make_cifar(directory):
    (directory / "b.bin").write_bytes(bytes(3073 * 2))


FORMATS = [
    Format("network", make_network, read_network,
           [network_description, network_arrays, network_header]),
    Format("checkpoint", make_checkpoint, read_checkpoint,
           [checkpoint_configuration, checkpoint_arrays]),
    Format("configuration", make_configuration, read_configuration, [configuration_table]),
    Format("run state", make_state, read_run_state, _sealed_file("state.safetensors")),
    Format("recording", make_recording, read_recording_file, _sealed_file("r")),
    Format("job results", make_chunk, read_results, [chunk_fields, chunk_recording]),
    _npz_format("own samples", "s.npz", OWN, read_samples),
    _npz_format("ListOps npz", "l.npz", LISTOPS, lambda path: read_ragged(path, "ListOps")),
    _npz_format("MIT-BIH npz", "p.npz", MITBIH, lambda path: unpack(path, tuple(EVERY[:2]))),
    Format("packed text", make_packed, lambda d: read_packed(d / "c.xz", d / "i.npz", "label"),
           _npz_mutations("i.npz", INDEX)),
    Format("idx", make_idx, read_both_idx),
    Format("WFDB", make_wfdb, lambda d: read_recording(d, "100")),
    Format("ListOps tsv", make_tsv, lambda d: read_table(d / "basic_test.tsv")),
    Format("Pathfinder metadata", make_metadata, read_paths),
    Format("Retrieval tsv", make_pairs, read_pairs),
    Format("CIFAR batch", make_cifar, lambda d: read_batch(d / "b.bin")),
    Format("torch source", make_torch, lambda d: read_state(d / "m.pt"), [torch_pickle]),
    Format("safetensors source", make_safetensors, lambda d: read_state(d / "m"),
           [safetensors_header]),
    Format("map", make_map, lambda d: load_map(d / "map.toml"), [map_table]),
    _npz_format("check of a conversion", "c.npz", CHECK,
                lambda path: read_check(path, from_dict(ModelConfig, MODEL))),
    Format("metrics", make_metrics, read_metrics, [metrics_table]),
]
