"""Streams on Docker: C242; the tests stand in `streaming_suite.py`."""

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("streaming_suite_docker", Path(__file__).with_name("streaming_suite.py"))
suite = importlib.util.module_from_spec(spec)
spec.loader.exec_module(suite)
pytestmark = [pytest.mark.docker, pytest.mark.root]
web = suite.web
TestExec, TestCopy, TestAttach, TestPortForward = suite.TestExec, suite.TestCopy, suite.TestAttach, suite.TestPortForward
TestLogs, TestProxy, TestDebug, TestPythonClient = suite.TestLogs, suite.TestProxy, suite.TestDebug, suite.TestPythonClient


@pytest.fixture
def image():
    return "busybox:local"
