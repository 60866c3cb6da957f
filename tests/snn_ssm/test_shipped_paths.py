"""The shipped files are found, wherever the package was installed, or their absence is named."""

import pytest

from snn_ssm import config, shipped
from snn_ssm.checkpoint import load_checkpoint
from snn_ssm.shipped import paths
from snn_ssm.tasks import read_samples


@pytest.mark.parametrize("name", shipped.CHECKPOINTS)
def test_every_checkpoint_is_there(name):
    assert name.startswith(load_checkpoint(shipped.checkpoint(name)).config.task.name)


def test_every_checkpoint_is_named():
    folders = {p.name for p in shipped.checkpoint().parent.iterdir() if p.is_dir()}
    assert folders == set(shipped.CHECKPOINTS)


def test_images_and_configurations():
    assert read_samples(shipped.images()).inputs.shape == (200, 1, 784)
    files = shipped.configurations()
    assert len(files) > 15 and list(files) == sorted(files)
    assert config.load(files["text-small"]).task.name == "text"


def test_an_unknown_checkpoint():
    with pytest.raises(shipped.ShippedError, match=r"no checkpoint 'mine'.*smnist-stock.*own"):
        shipped.checkpoint("mine")


def test_files_that_were_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(paths.resources, "files", lambda package: tmp_path)
    for find in (
        shipped.checkpoint, shipped.images, shipped.configurations, shipped.related,
    ):
        with pytest.raises(shipped.ShippedError, match=r"is not there.*Install the wheel"):
            find()
