"""Building the NEST module: the cache, two builders at once, and what is said when it fails."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nest", reason="nest-simulator is not installed")

import nest

from pynn_models import SnnSsmError, compilation
from pynn_models import nest as backend
from pynn_models.nest import (
    CacheNotPrivateError,
    CacheNotWritableError,
    CompilationError,
    CompilerNotFoundError,
    ModuleLoadError,
    NestNotInstalledError,
    build,
    build_module,
    cache_directory,
    install,
)
from pynn_models.private import UncachedWarning

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    directory = tmp_path / "a cache"
    monkeypatch.setenv("SNN_SSM_CACHE", str(directory))
    monkeypatch.delenv("CXX", raising=False)
    return directory


def compiler_script(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def quick_compiler(tmp_path, monkeypatch):
    """A compiler that notes each compilation and writes a file at once; returns the notes."""
    log = tmp_path / "compilations"
    log.write_text("")
    body = (
        'case "$1" in --version) echo "quick 1.0"; exit 0;; esac\n'
        'while [ "$1" != "-o" ]; do shift; done\n'
        f'sleep 0.2; echo "$2" >> "{log}"; echo made > "$2"'
    )
    monkeypatch.setenv("CXX", compiler_script(tmp_path / "quick", body))
    return lambda: log.read_text().splitlines()


def copy_of_sources(directory, change):
    for name in build._SOURCES:
        copy = directory / "sources" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(change((build._SOURCE_DIR / name).read_bytes()))
    return directory / "sources"


def build_in_other_processes(count):
    command = [sys.executable, "-c", "import pynn_models.nest as n; print(n.build_module())"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    builders = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    outputs = [builder.communicate(timeout=120) for builder in builders]
    assert [builder.returncode for builder in builders] == [0] * count, outputs
    return [Path(out.strip()) for out, _ in outputs]


@pytest.mark.slow
def test_two_processes_build_into_an_empty_cache_and_the_result_loads(cache):
    one, other = build_in_other_processes(2)
    assert one == other == build_module()
    assert sorted(path.suffix for path in cache.iterdir()) == [".lock", ".so"]
    nest.ResetKernel()
    install()
    install()  # a second call finds it loaded
    assert backend.MODEL_NAME in nest.node_models


def test_one_of_many_processes_compiles(cache, quick_compiler):
    paths = build_in_other_processes(4)
    assert len(set(paths)) == 1 and len(quick_compiler()) == 1


def test_a_module_is_compiled_once(cache, quick_compiler):
    assert build_module() == build_module()
    assert len(quick_compiler()) == 1


def test_the_cache_key_follows_what_is_compiled(cache, quick_compiler, tmp_path, monkeypatch):
    modules = {build_module()}

    with monkeypatch.context() as other:
        other.setattr(build, "_FLAGS", (*build._FLAGS, "-g"))
        modules.add(build_module())
    with monkeypatch.context() as other:
        other.setattr(build.importlib.metadata, "version", lambda name: "3.11")
        modules.add(build_module())

    compiler = tmp_path / "quick"
    compiler.write_text(compiler.read_text().replace("quick 1.0", "quick 2.0"))
    modules.add(build_module())

    monkeypatch.setattr(build, "_SOURCE_DIR", copy_of_sources(tmp_path, lambda old: old + b"\n"))
    modules.add(build_module())

    assert len(modules) == len(quick_compiler()) == 5
    assert all(module.exists() for module in modules)


def test_no_compiler(cache, monkeypatch):
    monkeypatch.setenv("CXX", "nonexistent -O1")
    with pytest.raises(CompilerNotFoundError) as caught:
        build_module()
    message = str(caught.value)
    assert "'nonexistent'" in message and "CXX=nonexistent -O1" in message
    assert "apt-get install g++" in message
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX")
    with pytest.raises(CompilerNotFoundError, match=r"'g\+\+' \(the default\)"):
        build_module()


def test_a_compiler_that_cannot_run(cache, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(CompilerNotFoundError, match=r"cannot be run.*apt-get install"):
        build_module()


def test_a_compilation_that_fails_shows_the_last_lines_and_leaves_nothing(
    cache, tmp_path, monkeypatch
):
    lines = 'for i in $(seq 1 50); do echo "error line $i." >&2; done; exit 3'
    monkeypatch.setenv("CXX", compiler_script(tmp_path / "failing", lines))
    with pytest.raises(CompilationError) as caught:
        build_module()
    message = str(caught.value)
    assert "exit status 3" in message and "state_space.cpp" in message
    assert "error line 50." in message and "error line 30." not in message
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_the_real_compiler_refuses_broken_source(cache, tmp_path, monkeypatch):
    sources = copy_of_sources(tmp_path, lambda old: b"#error this source is broken\n")
    monkeypatch.setattr(build, "_SOURCE_DIR", sources)
    with pytest.raises(CompilationError, match="this source is broken"):
        build_module()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "a file"
    file.write_text("")
    monkeypatch.setenv("SNN_SSM_CACHE", str(file / "cache"))
    with pytest.raises(CacheNotWritableError) as caught:
        build_module()
    message = str(caught.value)
    assert str(file / "cache") in message and "Not a directory" in message
    assert "SNN_SSM_CACHE" in message


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757])
def test_a_cache_that_others_may_write_to_is_refused(cache, quick_compiler, mode):
    module = build_module()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    cache.chmod(mode)
    with pytest.raises(CacheNotPrivateError) as caught:
        build_module()
    message = str(caught.value)
    assert f"{cache} can have been put there by another user" in message
    assert "SNN_SSM_CACHE" in message and "chmod 700" in message
    cache.chmod(0o700)
    assert build_module() == module
    module.chmod(0o666)
    with pytest.raises(CacheNotPrivateError, match=r"\.so can have been put there"):
        build_module()


def test_a_module_of_another_user_is_not_loaded(cache, quick_compiler, monkeypatch):
    module = build_module()
    look = os.stat

    def given_away(path, **options):
        found = look(path, **options)
        if os.fspath(path) != os.fspath(module):
            return found
        return os.stat_result([*found[:4], 12345, *found[5:10]])

    monkeypatch.setattr(os, "stat", given_away)
    monkeypatch.setattr(Path, "stat", lambda self, **o: given_away(self, **o))
    with pytest.raises(CacheNotPrivateError, match="Code is not loaded from there"):
        build_module()


def test_a_link_to_anothers_module_is_not_loaded(cache, quick_compiler, tmp_path):
    module = build_module()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    planted = tmp_path / "shared" / "planted.so"
    module.replace(planted)
    module.symlink_to(planted)
    with pytest.raises(CacheNotPrivateError):
        build_module()


def test_what_a_killed_compilation_left_is_removed(cache, quick_compiler):
    module = build_module()
    module.unlink()
    left = module.with_name(f"{module.stem}abc.tmp")
    left.write_text("")
    assert build_module() == module and not left.exists()


def test_without_a_place_of_its_own_a_temporary_one_serves(tmp_path, monkeypatch, quick_compiler):
    file = tmp_path / "a file"
    file.write_text("")
    monkeypatch.delenv("SNN_SSM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    compilation.temporary_directory.cache_clear()
    with pytest.warns(UncachedWarning, match=r"Not a directory.*compiled for this process alone"):
        module = build_module()
    assert module.read_text() == "made\n" and stat.S_IMODE(module.parent.stat().st_mode) == 0o700
    with pytest.warns(UncachedWarning):
        assert build_module() == module
    assert len(quick_compiler()) == 1


def test_a_cache_from_which_nothing_may_be_loaded(cache, quick_compiler, monkeypatch):
    class Noexec:
        f_flag = os.ST_NOEXEC

    monkeypatch.setattr(os, "statvfs", lambda path: Noexec)
    nest.ResetKernel()
    with pytest.raises(ModuleLoadError) as caught:
        install()
    message = str(caught.value)
    assert f"{cache} is on a file system mounted noexec" in message
    assert "set the environment variable SNN_SSM_CACHE to a directory on another one" in message


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.delenv("SNN_SSM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache/snn-ssm/nest"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() == tmp_path / ".cache/snn-ssm/nest"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg/snn-ssm/nest"
    monkeypatch.setenv("SNN_SSM_CACHE", "~/mine")
    assert cache_directory() == tmp_path / "mine"


def test_a_user_without_a_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SNN_SSM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(CacheNotWritableError, match="home directory.*SNN_SSM_CACHE"):
        cache_directory()


def test_a_module_that_does_not_load(cache, quick_compiler):
    nest.ResetKernel()
    with pytest.raises(ModuleLoadError) as caught:
        install()
    message = str(caught.value)
    assert str(build_module()) in message
    assert "The dynamic linker says:" in message and "file too short" in message
    assert "Delete the file" in message


def test_install_after_the_first_node(cache):
    nest.ResetKernel()
    nest.Create("iaf_psc_exp", 2)
    with pytest.raises(ModuleLoadError, match="2 nodes already"):
        install()
    assert not cache.exists()
    nest.ResetKernel()


def test_without_nest(cache, monkeypatch):
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NestNotInstalledError, match=r"pip install 'snn-ssm\[nest\]'"):
        build_module()
    monkeypatch.setitem(sys.modules, "nest", None)
    with pytest.raises(NestNotInstalledError, match="import nest"):
        install()


def test_without_headers_or_metadata(cache, tmp_path, monkeypatch):
    def not_found(name):
        raise build.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(build.importlib.metadata, "version", not_found)
    with pytest.raises(NestNotInstalledError, match="no package metadata"):
        build_module()
    found = build.importlib.util.spec_from_file_location("nest", tmp_path / "__init__.py")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: found)
    with pytest.raises(NestNotInstalledError, match=r"no C\+\+ headers in"):
        build_module()


@pytest.fixture
def own_nest(tmp_path, monkeypatch):
    """The prefix of a NEST as CMake installs it, whose nest-config a test may rewrite."""
    package = tmp_path / "lib" / "python3" / "site-packages" / "nest"
    for folder in (package, tmp_path / "bin", tmp_path / "include" / "nest"):
        folder.mkdir(parents=True)
    config = tmp_path / "bin" / "nest-config"
    config.write_text(
        "#!/bin/sh\ncase $1 in --version) echo 3.10.0;; --cflags) echo ' -fopenmp  -O2';;\n"
        f"--includes) echo ' -I{tmp_path}/include/nest -I/mpi/include ';; esac\n"
    )
    config.chmod(0o755)
    (tmp_path / "include" / "nest" / "nest_extension_interface.h").touch()
    (tmp_path / "include" / "nest" / "config.h").write_text("/* */\n#define HAVE_MPI 1\n")
    found = build.importlib.util.spec_from_file_location("nest", package / "__init__.py")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: found)
    return tmp_path


def test_a_nest_built_from_its_sources_says_how(own_nest, monkeypatch):
    found = build._module()
    monkeypatch.undo()
    wheel = build._module()
    assert found.includes == (f"-I{own_nest}/include/nest", "-I/mpi/include")
    assert found.flags[:2] == ("-fopenmp", "-O2") and found.flags[2:] == wheel.flags[1:]
    assert wheel.flags[0] == "-D_GLIBCXX_USE_CXX11_ABI=0"
    assert found.key(["c++"], "1") != wheel.key(["c++"], "1")


def test_whether_a_nest_has_mpi(own_nest, monkeypatch):
    assert build.has_mpi()
    (own_nest / "include" / "nest" / "config.h").write_text("/* #undef HAVE_MPI */\n")
    assert not build.has_mpi()
    monkeypatch.undo()
    assert not build.has_mpi()  # the wheel


def test_a_nest_whose_nest_config_is_of_no_use(own_nest):
    config = own_nest / "bin" / "nest-config"
    config.write_text("#!/bin/sh\necho -I/nowhere\n")
    with pytest.raises(NestNotInstalledError, match=r"headers in /nowhere, where .*nest-config"):
        build_module()
    config.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(NestNotInstalledError, match="nest-config --version: .* exit status 1"):
        build_module()
    config.unlink()
    with pytest.raises(NestNotInstalledError, match="no bin/nest-config above it"):
        build_module()


def test_lazy_names_without_pynn():
    code = (
        "import sys\n"
        "sys.modules['pyNN'] = None\n"
        "import pynn_models.nest as backend\n"
        "try:\n"
        "    backend.StateSpace\n"
        "except backend.NestNotInstalledError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "pip install 'snn-ssm[nest]'" in result.stdout, result.stderr


def test_public_names_exist():
    pytest.importorskip("pyNN.nest", reason="PyNN is not installed")
    for name in backend.__all__:
        assert getattr(backend, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = backend.nothing


def test_errors_are_the_projects_own():
    for name in backend.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(backend, name), SnnSsmError)
