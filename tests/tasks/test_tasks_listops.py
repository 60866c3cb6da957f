"""ListOps: the generator against an evaluator of its own symbols, and the official files."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_ssm.config import TaskConfig
from snn_ssm.tasks import DataError
from snn_ssm.tasks import listops as task
from snn_ssm.tasks.listops import LISTOPS, encode, generate, read_table

WORDS = dict(enumerate([*"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]"], start=1))
COUNT = 300


def words(symbols):
    """Symbols as the definition writes them."""
    return [WORDS[int(symbol)] for symbol in symbols]


def evaluate(tokens):
    """The value of a list, by a stack: its arguments are gathered until its bracket closes."""
    operations = {
        "[MIN": min,
        "[MAX": max,
        "[MED": lambda values: int(statistics.median(values)),
        "[SM": lambda values: sum(values) % 10,
    }
    stack = [("root", [])]
    for token in tokens:
        if token in operations:
            stack.append((token, []))
        elif token == "]":
            name, arguments = stack.pop()
            stack[-1][1].append(operations[name](arguments))
        else:
            stack[-1][1].append(int(token))
    [(_, [value])] = stack
    return value


def shape(tokens):
    """Every operator's number of arguments, and the depth of the deepest node (the root's is 1)."""
    arities, open_lists, deepest = [], [0], 0
    for token in tokens:
        if token == "]":
            arities.append(open_lists.pop())
            continue
        open_lists[-1] += 1
        deepest = max(deepest, len(open_lists))
        if token.startswith("["):
            open_lists.append(0)
    assert open_lists == [1]
    return arities, deepest


@pytest.fixture(scope="module")
def trees():
    """Generated trees as words, and their values."""
    symbols, values = generate(np.random.default_rng(7), COUNT)
    return [words(symbols.item(i)) for i in range(COUNT)], values


def test_the_evaluator_of_the_tests_knows_the_documented_example():
    example = ["[MAX", "2", "9", "[MIN", "4", "7", "]", "0", "]"]
    assert evaluate(example) == 9 and shape(example) == ([2, 4], 3)
    assert evaluate(["[MED", "1", "2", "4", "4", "]"]) == 3
    assert evaluate(["[SM", "9", "8", "]"]) == 7


def test_every_value_is_that_of_its_symbols(trees):
    sources, values = trees
    assert len(sources) == len(values) == COUNT and values.dtype == np.uint8
    assert [evaluate(source) for source in sources] == values.tolist()
    assert set(values.tolist()) == set(range(10))


def test_trees_are_of_the_definitions_lengths_depth_and_arguments(trees):
    lengths, arities, depths = [], [], []
    for source in trees[0]:
        found, deepest = shape(source)
        lengths.append(len(source))
        arities += found
        depths.append(deepest)
    assert min(lengths) >= 501 and max(lengths) <= 1999
    assert set(arities) == set(range(2, 11)) and max(depths) == 10


def test_a_node_above_the_last_depth_is_an_operator_with_probability_a_quarter(monkeypatch):
    monkeypatch.setattr(task, "SHORTEST", 1)
    monkeypatch.setattr(task, "LONGEST", 10**9)
    symbols, _ = generate(np.random.default_rng(2), 1000)
    operators = nodes = 0
    for i in range(len(symbols)):
        depth = 1
        for token in words(symbols.item(i)):
            depth -= token == "]"
            nodes += token != "]" and depth < 10
            operators += token.startswith("[")
            depth += token.startswith("[")
    spread = np.sqrt(nodes * 0.25 * 0.75)
    assert abs(operators - nodes * 0.25) < 5 * spread  # of a fair draw


def test_trees_of_the_shortest_and_longest_length_are_kept(monkeypatch):
    assert (task.SHORTEST, task.LONGEST) == (501, 1999)
    monkeypatch.setattr(task, "SHORTEST", 5)
    monkeypatch.setattr(task, "LONGEST", 8)
    symbols, _ = generate(np.random.default_rng(2), 200)
    assert {len(symbols.item(i)) for i in range(200)} == {5, 6, 7, 8}


def test_operators_and_digits_are_equally_frequent(trees):
    counts = {}
    for token in (token for source in trees[0] for token in source):
        counts[token] = counts.get(token, 0) + 1
    operators = np.array([counts[name] for name in ("[MIN", "[MAX", "[MED", "[SM")])
    digits = np.array([counts[name] for name in "0123456789"])
    assert counts["]"] == operators.sum()
    for group in (operators, digits):  # 5 standard deviations of a fair draw
        share = 1 / len(group)
        spread = np.sqrt(group.sum() * share * (1 - share))
        assert (np.abs(group - group.sum() * share) < 5 * spread).all()


def test_a_seed_makes_the_same_trees_and_another_makes_others():
    one, values = generate(np.random.default_rng(0), 20)
    two, again = generate(np.random.default_rng(0), 20)
    other, _ = generate(np.random.default_rng(1), 20)
    assert (one.values == two.values).all() and (one.offsets == two.offsets).all()
    assert (values == again).all()
    assert one.values.tobytes() != other.values.tobytes()


def test_fewer_trees_are_the_first_of_more():
    few, values = generate(np.random.default_rng(3), 5)
    more, rest = generate(np.random.default_rng(3), 9)
    assert (few.values == more.values[: len(few.values)]).all() and (values == rest[:5]).all()


# The official form

nested = st.recursive(
    st.integers(0, 9),
    lambda node: st.tuples(
        st.sampled_from(["[MIN", "[MAX", "[MED", "[SM"]), st.lists(node, min_size=2, max_size=4)
    ),
    max_leaves=20,
)


def tokens_of(node):
    if isinstance(node, int):
        return [str(node)]
    name, arguments = node
    return [name, *(token for argument in arguments for token in tokens_of(argument)), "]"]


def official(node):
    """As Long Range Arena writes a tree: a pair of parentheses around every step."""
    if isinstance(node, int):
        return str(node)
    name, arguments = node
    text = name
    for argument in arguments:
        text = f"( {text} {official(argument)} )"
    return f"( {text} ] )"


@given(nested)
def test_a_tree_is_encoded_with_parentheses_and_without(node):
    tokens = tokens_of(node)
    for source in (official(node), " ".join(tokens)):
        assert words(encode(source.encode())) == tokens


@pytest.mark.parametrize(("source", "expected"), [
    (b"", "it is no list of"), (b"( )", "it is no list of"), (b"[MIM 1 2 ]", "it is no list of"),
    (b"[ 1 2 ]", "it is no list of"), (b"[MIN 1, 2 ]", "other characters"),
    (b"[min 1 2 ]", "other characters"), ("[MIN 1 é ]".encode(), "other characters"),
    (b"\x01\x02", "other characters"),
])
def test_what_is_no_tree(source, expected):
    with pytest.raises(ValueError, match=expected):
        encode(source)


TABLE = "Source\tTarget\n( ( ( [MAX 2 ) 9 ) ] )\t9\n( ( ( [SM 8 ) 7 ) ] )\t5\n4\t4\n"


@pytest.mark.parametrize("folder", ["", "listops"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_official_file_is_read(tmp_path, folder, split):
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / f"basic_{split}.tsv").write_text(TABLE)
    samples = LISTOPS.load(tmp_path, split, TaskConfig("listops", 5))
    assert samples.inputs.dtype == np.uint8 and samples.inputs.shape == (3, 1, 5)
    assert samples.inputs[:, 0].tolist() == [[12, 3, 10, 15, 0], [14, 9, 8, 15, 0], [5, 0, 0, 0, 0]]
    assert samples.labels.tolist() == [9, 5, 4] and samples.labels.dtype == np.int64


def test_a_long_tree_is_cut_off(tmp_path):
    (tmp_path / "basic_test.tsv").write_text(TABLE)
    samples = LISTOPS.load(tmp_path, "test", TaskConfig("listops", 2))
    assert samples.inputs[:, 0].tolist() == [[12, 3], [14, 9], [5, 0]]


@pytest.mark.parametrize("line", ["( [MAX 2 9 ] )", "4\tfour", "4\t", "[MOD 1 2 ]\t3", "\t3"])
def test_a_line_that_is_no_tree_and_value(tmp_path, line):
    path = tmp_path / "basic_test.tsv"
    path.write_text(f"Source\tTarget\n4\t4\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_table(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 3: ")
    assert "expected a tree, a tab and its value. Fetch the file again." in message


def test_a_table_without_its_header_is_refused_not_cut(tmp_path):
    (tmp_path / "basic_test.tsv").write_text("4\t4\n5\t5\n")
    with pytest.raises(DataError, match=r"begins with b'4.*expected the header b'Source"):
        read_table(tmp_path / "basic_test.tsv")


def test_a_table_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"none\.tsv cannot be read \(.*No such file.*Fetch"):
        read_table(tmp_path / "none.tsv")


@pytest.mark.parametrize("content", ["", "Source\tTarget\n"])
def test_a_table_of_no_trees(tmp_path, content):
    (tmp_path / "basic_test.tsv").write_text(content)
    with pytest.raises(DataError, match="task 'listops' has no test samples"):
        LISTOPS.load(tmp_path, "test", TaskConfig("listops", 5))


def test_a_value_that_is_no_digit(tmp_path):
    (tmp_path / "basic_test.tsv").write_text("Source\tTarget\n4\t4\n4\t12\n")
    with pytest.raises(DataError, match="sample 1 of task 'listops' has the label 12; expected 0"):
        LISTOPS.load(tmp_path, "test", TaskConfig("listops", 5))


# What --download makes


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setattr(task, "COUNTS", {"train": 6, "val": 2, "test": 3})
    monkeypatch.setattr(task, "_TREES_AT_ONCE", 500)
    LISTOPS.download(tmp_path)
    return tmp_path


def test_the_splits_are_generated_loaded_and_differ(made):
    config = LISTOPS.config().task
    loaded = {split: LISTOPS.load(made, split, config) for split in ("train", "val", "test")}
    assert {split: len(samples) for split, samples in loaded.items()} == {
        "train": 6, "val": 2, "test": 3,
    }
    rows = [row.tobytes() for samples in loaded.values() for row in samples.inputs]
    assert len(set(rows)) == len(rows)
    for samples in loaded.values():
        assert samples.inputs.shape[1:] == (1, 2000)
        found = [evaluate(words(row[0][row[0] > 0])) for row in samples.inputs]
        assert found == samples.labels.tolist() and samples.source == "own generator"
    symbols, values = generate(np.random.default_rng(0), 6)
    assert (loaded["train"].inputs == symbols.rows(np.arange(6), 2000)).all()
    assert (loaded["train"].labels == values).all()


def test_the_full_splits_are_those_of_long_range_arena():
    assert task.COUNTS == {"train": 96_000, "val": 2_000, "test": 2_000}


def test_what_is_there_is_not_made_again(made):
    folder = made / "listops"
    before = (folder / "listops-train.npz").read_bytes()
    (folder / "listops-val.npz").unlink()
    (folder / "basic_test.tsv").write_text(TABLE)
    (folder / "listops-test.npz").unlink()
    LISTOPS.download(made)
    assert (folder / "listops-train.npz").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [
        "basic_test.tsv", "listops-train.npz", "listops-val.npz",
    ]


def test_the_official_file_comes_first(made):
    (made / "basic_test.tsv").write_text(TABLE)
    samples = LISTOPS.load(made, "test", TaskConfig("listops", 5))
    assert samples.labels.tolist() == [9, 5, 4] and samples.source == ""


def test_a_part_of_the_training_trees(made):
    whole = LISTOPS.load(made, "train", TaskConfig("listops", 2000))
    part = LISTOPS.load(made, "train", TaskConfig("listops", 2000, train_samples=4))
    rows = [int(np.flatnonzero((whole.inputs == row).all((1, 2)))[0]) for row in part.inputs]
    assert len(set(rows)) == 4 and (part.labels == whole.labels[rows]).all()
    with pytest.raises(DataError, match="train_samples is 7, but 'listops' has 6 training samples"):
        LISTOPS.load(made, "train", TaskConfig("listops", 2000, train_samples=7))


def test_a_generated_file_that_is_broken(made):
    (made / "listops" / "listops-test.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match=r"listops-test\.npz cannot be read as ListOps .*values"):
        LISTOPS.load(made, "test", TaskConfig("listops", 5))


def test_missing_trees_say_how_to_make_them(tmp_path):
    with pytest.raises(DataError) as caught:
        LISTOPS.load(tmp_path, "val", TaskConfig("listops", 5))
    message = str(caught.value)
    assert f"neither basic_val.tsv nor listops-val.npz is in {tmp_path} or" in message
    assert f"'snn-ssm train listops --download --data {tmp_path}'" in message
