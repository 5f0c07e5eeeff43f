"""As much of PyTorch's interface as Benchmarks/GPU uses, on numpy, with the rules of a CUDA graph's capture checked: for tests where there is no GPU.

What runs while a graph is captured is noted and not computed; a replay computes it again from the memory that it was captured with.
"""
import contextlib
import gc
import weakref

import numpy

__version__ = "fake"
float16, float32 = numpy.float16, numpy.float32
memory_limit = None
log = []
_state = {"stream": "main", "capturing": None, "inference": False, "seed": numpy.random.default_rng(0)}


class OutOfMemoryError(RuntimeError):
    pass


class Tensor:
    alive = weakref.WeakSet()

    def __init__(self, array):
        self.array = numpy.array(array)
        Tensor.alive.add(self)
        if memory_limit is not None and sum(tensor.array.nbytes for tensor in Tensor.alive) > memory_limit:
            Tensor.alive.discard(self)
            raise OutOfMemoryError("CUDA out of memory")

    shape = property(lambda self: self.array.shape)

    def copy_(self, other):
        run(lambda: numpy.copyto(self.array, other.array.astype(self.array.dtype)), (self, other))
        return self

    def view(self, *shape):
        return Tensor(self.array.reshape(shape))

    def float(self):
        return Tensor(self.array.astype(numpy.float32))

    def half(self):
        return self

    def cuda(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array

    def __truediv__(self, by):
        return self


def run(compute, tensors):
    """An operation on the device: now, or as part of the graph that is captured. Graphs hold no tensor: what they use must be kept by others."""
    log.append(("captured" if _state["capturing"] is not None else "run", _state["stream"], _state["inference"]))
    if _state["capturing"] is not None:
        _state["capturing"].append((compute, [weakref.ref(tensor) for tensor in tensors]))
    else:
        compute()


class Module:
    """Twice its input's rows, whatever it is made of: `linear` alone computes."""

    def __init__(self, *parts, **_):
        self.parts = parts

    def __getattr__(self, name):
        raise AttributeError(name)

    def half(self):
        return self

    def cuda(self):
        self.memory = Tensor(numpy.zeros(1000, numpy.float16))
        return self

    def eval(self):
        return self

    def __call__(self, given):
        answer = Tensor(numpy.zeros((given.shape[0], 2), given.array.dtype))
        source, target = weakref.ref(given), weakref.ref(answer)

        def compute():
            target().array[:] = source().array.astype(numpy.float32).sum(axis=1, keepdims=True)

        run(compute, (given, answer))
        return answer


class nn:
    Module = Module

    class Linear(Module):
        pass

    class ReLU(Module):
        pass

    class Sequential(Module):
        pass

    class LayerNorm(Module):
        pass

    class Embedding(Module):
        pass

    class ModuleList(list):
        pass

    class ModuleDict(dict):
        pass

    class ParameterList(list):
        pass

    @staticmethod
    def Parameter(value):
        return value

    functional = None


def randn(*shape, device=None, dtype=float32):
    return Tensor(_state["seed"].standard_normal(shape).astype(dtype))


def zeros(*shape, device=None, dtype=float32):
    return Tensor(numpy.zeros(shape, dtype))


def empty_like(other):
    return Tensor(numpy.empty_like(other.array))


def randint(low, high, shape, device=None):
    return Tensor(_state["seed"].integers(low, high, shape))


def frombuffer(body, dtype):
    return Tensor(numpy.frombuffer(body, dtype))


def manual_seed(seed):
    _state["seed"] = numpy.random.default_rng(seed)


@contextlib.contextmanager
def inference_mode():
    before, _state["inference"] = _state["inference"], True
    try:
        yield
    finally:
        _state["inference"] = before


def compile(module, mode=None, dynamic=None):
    return module


class _dynamo:
    @staticmethod
    def reset():
        pass


class cuda:
    @staticmethod
    def is_available():
        return True

    @staticmethod
    def get_device_name():
        return "no GPU"

    @staticmethod
    def empty_cache():
        gc.collect()

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            log.append(("wait", self.name, other.name))

    @staticmethod
    def current_stream():
        return cuda.Stream(_state["stream"])

    @staticmethod
    @contextlib.contextmanager
    def stream(stream):
        before, _state["stream"] = _state["stream"], stream.name
        try:
            yield
        finally:
            _state["stream"] = before

    class CUDAGraph:
        def __init__(self):
            self.work = None

        def replay(self):
            log.append(("replay", _state["stream"], _state["inference"]))
            for compute, tensors in self.work:
                if any(tensor() is None for tensor in tensors):
                    raise RuntimeError("a tensor of the graph was given back")
                compute()

    @staticmethod
    @contextlib.contextmanager
    def graph(graph):
        if _state["capturing"] is not None:
            raise RuntimeError("a capture within a capture")
        if not any(entry[0] == "run" and entry[1] == "side" for entry in log):
            raise RuntimeError("nothing ran on a stream of its own before the capture")
        _state["capturing"] = []
        try:
            yield
            graph.work = _state["capturing"]
        finally:
            _state["capturing"] = None

    class Event:
        def __init__(self, enable_timing=False):
            self.at = None

        def record(self):
            self.at = len(log)

        def synchronize(self):
            pass

        def elapsed_time(self, end):
            return (end.at - self.at) * 0.001
