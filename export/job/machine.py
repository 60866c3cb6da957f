"""Whether the configuration of a job names a machine that can be asked for spikes.

sPyNNaker folds case and underscores of keys, not of sections, and takes more than one word for
true; so does this. What it would end on with a traceback, after minutes in a queue, is refused
first.
"""

from __future__ import annotations

import configparser
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from export.job.chunk import JobError

_SECTION = "Machine"
_TRUE = ("y", "yes", "t", "true", "on", "1")
_FALSE = ("n", "no", "f", "false", "off", "0")
_NONE = ("none", "")
_VERSIONS = ("2", "3", "4", "5", "201", "248")
_WAYS = ("machine_name", "spalloc_server", "remote_spinnaker_url")


class _Parser(configparser.RawConfigParser):
    """Reads keys as sPyNNaker does: ``virtualBoard`` is ``virtual_board``."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr.lower().replace("_", "")


def check_configuration(paths: list[Path]) -> None:
    """Raise :class:`JobError` unless the files, the first of which counts most, name a machine.

    Refused: what is no configuration; a section in another spelling; the virtual board, which
    returns no spikes; no machine or two; a version that is none; a host that is not known; a
    spalloc server without a user.
    """
    parser = _Parser(strict=False)
    try:
        parser.read(reversed(paths), encoding="utf-8-sig")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise JobError(f"{paths[0]} is no configuration: {error}. Correct the file.") from error
    for section in parser.sections():
        if section != _SECTION and section.lower() == _SECTION.lower():
            raise JobError(
                f"{paths[0]} has a section [{section}]; expected [{_SECTION}], as sPyNNaker reads "
                "it. Correct the file."
            )
    values = dict(parser[_SECTION]) if parser.has_section(_SECTION) else {}
    given = {key: value for key, value in values.items() if value.lower() not in _NONE}
    _refuse_virtual(paths[0], given)
    ways = [way for way in _WAYS if way.replace("_", "") in given]
    if len(ways) != 1:
        found = " and ".join(ways) or "no machine"
        raise JobError(
            f"{paths[0]} names {found}; expected one of {', '.join(_WAYS)} in [{_SECTION}]. Fill "
            "in one of the ways of spynnaker.cfg.template."
        )
    if ways[0] == _WAYS[0]:
        _check_board(paths[0], given)
    if ways[0] == _WAYS[1]:
        _check_spalloc(paths[0], given[ways[0].replace("_", "")])


def _refuse_virtual(path: Path, given: Mapping[str, str]) -> None:
    virtual = given.get("virtualboard", "no").lower()
    if virtual in _TRUE:
        raise JobError(
            f"{path} names the virtual board, which maps a network and returns no spikes. "
            "Give machine_name or spalloc_server; to see the mapping use 'snn-ssm inspect --board "
            "virtual'."
        )
    if virtual not in _FALSE:
        raise JobError(
            f"{path} is no configuration: virtual_board is {virtual!r}; expected True or False. "
            "Correct the file."
        )


def _check_board(path: Path, given: Mapping[str, str]) -> None:
    version, host = given.get("version", "None"), given["machinename"]
    if version not in _VERSIONS:
        raise JobError(
            f"{path} gives version = {version}; expected one of {', '.join(_VERSIONS)}, which "
            "board it is. Correct the file."
        )
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise JobError(
            f"{path} gives machine_name = {host}, which is no known host ({error.strerror}). "
            "Correct it, or check the network."
        ) from error


def _check_spalloc(path: Path, server: str) -> None:
    try:
        named = urlsplit(server).username
    except ValueError as error:
        raise JobError(
            f"{path} gives spalloc_server = {server}, which is no address ({error}). Correct it."
        ) from error
    accounts = ("SPALLOC_USER", "OIDC_BEARER_TOKEN", "NMPI_JOB_ID", "JUPYTERHUB_API_TOKEN")
    if not named and not any(os.environ.get(variable) for variable in accounts):
        raise JobError(
            f"{path} gives spalloc_server = {server}, and no user; expected one in the address or "
            "in $SPALLOC_USER, with $SPALLOC_PASSWORD. Set them."
        )
