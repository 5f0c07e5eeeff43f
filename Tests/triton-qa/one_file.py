"""Runs one of Triton's QA files, unchanged, and writes what became of each of its cases as JSON.

one_file.py FILE RESULT [--patch NAME ...] [Class.test ...]

The working folder stands where the file's own folder would (`qa/L0_x`, with `../common` the checkout's), as test.sh has it. What is
substituted is done here, before the file is imported; the names of the patches are documented in README.md.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Recorder(unittest.TestResult):
    """Keeps each case's outcome, its seconds, and the line that says why."""

    def __init__(self, calls):
        super().__init__()
        self.calls, self.cases = calls, {}

    def startTest(self, test):
        super().startTest(test)
        self.started, self.calls_before = time.monotonic(), self.calls.count

    def _put(self, test, outcome, reason=""):
        name = ".".join(test.id().split(".")[-2:])
        known = self.cases.get(name)
        if known and known["outcome"] in ("failed", "error"):
            return
        self.cases[name] = {"outcome": outcome, "reason": reason, "seconds": round(time.monotonic() - self.started, 2)}
        print(f"{name}: {outcome}{' - ' + reason.splitlines()[-1] if reason else ''}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        # A case that made no client and no connection tested nothing: its data types have no model here.
        self._put(test, "passed" if self.calls.count > self.calls_before else "empty")

    def addFailure(self, test, problem):
        super().addFailure(test, problem)
        self._put(test, "failed", self._text(problem))

    def addError(self, test, problem):
        super().addError(test, problem)
        if hasattr(test, "_testMethodName"):
            self._put(test, "failed", self._text(problem))
        else:
            self.started = time.monotonic()
            self.cases[str(test)] = {"outcome": "failed", "reason": self._text(problem), "seconds": 0}

    def addSubTest(self, test, subtest, problem):
        super().addSubTest(test, subtest, problem)
        if problem:
            self._put(test, "failed", f"{subtest._subDescription()} {self._text(problem)}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._put(test, "skipped", reason)

    @staticmethod
    def _text(problem):
        traceback.print_exception(*problem)
        return "".join(traceback.format_exception_only(problem[0], problem[1])).strip()


class Calls:
    """How often a client was made or a connection opened."""

    def __init__(self):
        self.count = 0
        import socket

        import grpc
        import tritonclient.grpc
        import tritonclient.grpc.aio
        import tritonclient.http
        import tritonclient.http.aio

        for place in (tritonclient.http, tritonclient.grpc, tritonclient.http.aio, tritonclient.grpc.aio):
            self._count(place.InferenceServerClient, "__init__")
        self._count(socket.socket, "connect")
        self._count(grpc, "insecure_channel")

    def _count(self, place, name):
        before = getattr(place, name)

        def counted(*arguments, **options):
            self.count += 1
            return before(*arguments, **options)

        setattr(place, name, counted)


def no_ensembles():
    """The ensembles of a model are not asked: this server refuses ensembles."""
    import test_util

    test_util.validate_for_ensemble_model = lambda *arguments, **options: False


def only_onnx():
    """Models of TensorRT and LibTorch are not asked for."""
    import test_util

    test_util.validate_for_trt_model = test_util.validate_for_libtorch_model = lambda *arguments, **options: False


def steps_for_ensembles():
    """Trials of an ensemble go to its one step instead, and the counters of the ensemble are not asked for."""

    def patch(module):
        for place in vars(module).values():
            if not (isinstance(place, type) and issubclass(place, unittest.TestCase)):
                continue
            if "setUp" in vars(place):
                place.setUp = with_steps(place.setUp)
            if "_assert_metrics" in vars(place):
                place._assert_metrics = without_ensembles(place._assert_metrics)

    def with_steps(prepare):
        def set_up(self):
            prepare(self)
            self.trials_ = [{**trial, "base": "custom"} for trial in self.trials_]

        return set_up

    def without_ensembles(check):
        return lambda self, model, *arguments: None if model.startswith("ensemble") else check(self, model, *arguments)

    return patch


PATCHES = {"no-ensembles": no_ensembles, "only-onnx": only_onnx, "steps-for-ensembles": steps_for_ensembles}


def run_with_unittest(path, names, patches):
    calls = Calls()
    after = [patch for patch in (PATCHES[name]() for name in patches) if patch]
    specification = importlib.util.spec_from_file_location("__qa__", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules["__qa__"] = module
    specification.loader.exec_module(module)
    for patch in after:
        patch(module)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    recorder = Recorder(calls)
    suite.run(recorder)
    return recorder.cases


def run_with_pytest(path):
    import pytest

    cases = {}

    class Collector:
        def pytest_runtest_logreport(self, report):
            name = report.nodeid.split("::", 1)[1].replace("::", ".")
            if report.when == "call" or report.failed or report.skipped:
                outcome = report.outcome
                reason = str(getattr(report.longrepr, "reprcrash", None) and report.longrepr.reprcrash.message or "")
                if outcome == "passed" and name in cases:
                    return
                cases[name] = {"outcome": outcome, "reason": reason, "seconds": round(report.duration, 2)}

    pytest.main([path, "-q", "-p", "no:cacheprovider"], plugins=[Collector()])
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("result")
    parser.add_argument("--patch", action="append", default=[])
    parser.add_argument("--pytest", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_intermixed_args()
    sys.path[0:1] = [os.getcwd(), os.path.join(HERE, "shims"), os.path.abspath("../common")]
    cases = (
        run_with_pytest(arguments.file) if arguments.pytest
        else run_with_unittest(arguments.file, arguments.names, arguments.patch))
    with open(arguments.result, "w") as file:
        json.dump(cases, file)


if __name__ == "__main__":
    main()
