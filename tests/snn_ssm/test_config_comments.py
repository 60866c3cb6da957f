"""A commented configuration: the same configuration, and a meaning for every key."""

import dataclasses
import re
import tomllib

import pytest

from snn_ssm import config, shipped
from snn_ssm.config import Config, dumps, loads
from snn_ssm.config.comments import MEANINGS, commented
from snn_ssm.tasks import TASKS


@pytest.mark.parametrize("name", TASKS)
def test_it_is_the_same_configuration(name):
    settings = TASKS[name].config()
    assert loads(commented(settings)) == settings
    assert tomllib.loads(commented(settings)) == tomllib.loads(dumps(settings))


def test_every_key_has_a_meaning_and_nothing_else_has():
    for table in dataclasses.fields(Config):
        keys = [key.name for key in dataclasses.fields(getattr(Config(), table.name))]
        assert sorted(MEANINGS[table.name]) == sorted(keys)


def test_the_default_stands_beside_a_value_that_differs():
    settings = config.load(shipped.configurations()["paper-text-gsu"])
    found = re.search(r"# .*\(default: 64\)\nchannels = 256\n", commented(settings))
    assert found


def test_lines_are_short():
    assert max(map(len, commented(Config()).splitlines())) <= 100
