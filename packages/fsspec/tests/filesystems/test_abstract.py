"""Run fsspec's own tests of filesystems on artifacts of a running task.

Left out are those that delete or replace files, which write-once storage cannot do.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests import abstract

from taskcluster_fsspec import ArtifactFileSystem

from .conftest import Tasks

# The local filesystem opens files as text without an encoding.
pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::EncodingWarning")]


class Fixtures(abstract.AbstractFixtures):
    """Fixtures without clean-up."""

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False

    @pytest.fixture
    def local_fs(self) -> LocalFileSystem:
        return LocalFileSystem(auto_mkdir=True)

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self, fs: Any, fs_join: Any, fs_path: str) -> str:
        return self._bulk_operations_scenario_0(fs, fs_join, fs_path)

    @pytest.fixture
    def fs_glob_edge_cases_files(self, fs: Any, fs_join: Any, fs_path: str) -> str:
        return self._glob_edge_cases_files(fs, fs_join, fs_path)

    @pytest.fixture
    def fs_dir_and_file_with_same_name_prefix(self, fs: Any, fs_join: Any, fs_path: str) -> str:
        return self._dir_and_file_with_same_name_prefix(fs, fs_join, fs_path)

    @pytest.fixture
    def fs_10_files_with_hashed_names(self, fs: Any, fs_join: Any, fs_path: str) -> str:
        return self._10_files_with_hashed_names(fs, fs_join, fs_path)

    @pytest.fixture
    def fs_target(self, fs: Any, fs_join: Any, fs_path: str) -> str:
        return fs_join(fs_path, "target")


class ArtifactFixtures(Fixtures):
    """A running task with no artifacts."""

    @pytest.fixture
    def fs(self, fs: ArtifactFileSystem) -> ArtifactFileSystem:
        return fs

    @pytest.fixture
    def fs_path(self, tasks: Tasks) -> str:
        return f"{tasks.create()}/0/base"


class TestGet(abstract.AbstractGetTests, ArtifactFixtures):
    pass


class TestPut(abstract.AbstractPutTests, ArtifactFixtures):
    # They delete what an earlier step wrote.
    test_put_file_to_existing_directory = None
    test_put_directory_to_existing_directory = None
    test_put_directory_to_new_directory = None
    test_put_glob_to_existing_directory = None
    test_put_glob_to_new_directory = None
    test_put_glob_edge_cases = None
    test_put_list_of_files_to_existing_directory = None
    test_put_directory_without_files_with_same_name_prefix = None
    test_put_directory_recursive = None


class TestCopy(abstract.AbstractCopyTests, ArtifactFixtures):
    # They delete what an earlier step wrote.
    test_copy_file_to_existing_directory = None
    test_copy_directory_to_existing_directory = None
    test_copy_directory_to_new_directory = None
    test_copy_glob_to_existing_directory = None
    test_copy_glob_to_new_directory = None
    test_copy_glob_edge_cases = None
    test_copy_list_of_files_to_existing_directory = None
    test_copy_directory_without_files_with_same_name_prefix = None


class TestOpen(abstract.AbstractOpenTests, ArtifactFixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, ArtifactFixtures):
    # It ends with replacing a file; `test_writing.py` has its first half.
    test_pipe_exclusive = None


@pytest.mark.parametrize("cls", [TestGet, TestPut, TestCopy, TestOpen, TestPipe])
def test_left_out_tests_delete_or_replace_files(cls: type) -> None:
    [theirs] = [base for base in cls.__bases__ if base is not ArtifactFixtures]
    tests = {name: test for name, test in vars(theirs).items() if name.startswith("test_")}
    replacing = {name for name, test in tests.items() if re.search(r"\bfs\.rm\(|overwrite", without_local(test))}
    assert {name for name in tests if getattr(cls, name) is None} == replacing


def without_local(test: Any) -> str:
    """Return the source of a test without its calls of the local filesystem."""
    return inspect.getsource(test).replace("local_fs.rm(", "")
