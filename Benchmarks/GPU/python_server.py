#!/usr/bin/env python3
"""The linear head behind a Python server, as teams without Triton serve it: KServe v2 over HTTP with binary tensors, one request one batch.

    Benchmarks/GPU/python_server.py --port 18100 [--hidden 1024] [--layers 20] [--engine torch|numpy]

FastAPI where it is installed, else aiohttp; PyTorch's CUDA graph per number of rows. `numpy` is for trying it out without a GPU.
"""
import argparse
import json
import struct
import sys

from torch_graph import captured


def torch_engine(layers, hidden):
    import torch

    torch.manual_seed(1)
    parts = []
    for _ in range(layers):
        parts += [torch.nn.Linear(hidden, hidden), torch.nn.ReLU()]
    module = torch.nn.Sequential(*parts, torch.nn.Linear(hidden, 2)).half().cuda().eval()
    graphs = {}

    def run(body, rows):
        with torch.inference_mode():
            if rows not in graphs:
                given = torch.zeros(rows, hidden, device="cuda", dtype=torch.float16)
                graph, answer = captured(torch, module, given)
                graphs[rows] = (given, graph, answer)
            given, graph, answer = graphs[rows]
            given.copy_(torch.frombuffer(bytearray(body), dtype=torch.float32).view(rows, hidden))
            graph.replay()
            return answer.float().cpu().numpy().tobytes()

    return f"torch {torch.__version__}, CUDA graph", run


def numpy_engine(layers, hidden):
    import numpy

    generator = numpy.random.default_rng(1)
    weights = [generator.standard_normal((hidden, hidden)).astype(numpy.float32) / hidden**0.5 for _ in range(layers)]
    last = generator.standard_normal((hidden, 2)).astype(numpy.float32)

    def run(body, rows):
        x = numpy.frombuffer(body, numpy.float32).reshape(rows, hidden)
        for weight in weights:
            x = numpy.maximum(x @ weight, 0)
        return (x @ last).tobytes()

    return "numpy", run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=18100)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--engine", choices=["torch", "numpy"], default="torch")
    options = parser.parse_args()
    words, run = (torch_engine if options.engine == "torch" else numpy_engine)(options.layers, options.hidden)
    metadata = {
        "name": "linear", "versions": ["1"], "platform": "python",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, options.hidden]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }

    def infer(body, head_bytes):
        head = json.loads(body[:head_bytes])
        rows = head["inputs"][0]["shape"][0]
        answer = run(body[head_bytes:], rows)
        reply = json.dumps({"model_name": "linear", "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [rows, 2], "parameters": {"binary_data_size": len(answer)}}]}).encode()
        return reply + answer, len(reply)

    run(struct.pack(f"{options.hidden}f", *([0.0] * options.hidden)), 1)
    try:
        import fastapi
        import uvicorn

        app = fastapi.FastAPI()

        @app.get("/v2/health/ready")
        async def ready():
            return {}

        @app.get("/v2")
        async def server():
            return {"name": "python", "version": "1", "extensions": []}

        @app.get("/v2/models/linear")
        async def model():
            return metadata

        @app.post("/v2/models/linear/infer")
        async def answer(request: fastapi.Request):
            reply, head = infer(await request.body(), int(request.headers["inference-header-content-length"]))
            return fastapi.Response(reply, media_type="application/octet-stream", headers={"Inference-Header-Content-Length": str(head)})

        print(f"FastAPI {fastapi.__version__}, {words}", flush=True)
        uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="error")
    except ImportError:
        try:
            from aiohttp import __version__, web
        except ImportError:
            sys.exit("neither fastapi with uvicorn nor aiohttp is installed: pip install fastapi uvicorn (Scripts/gpu-bring-up prepare)")

        async def post(request):
            reply, head = infer(await request.read(), int(request.headers["Inference-Header-Content-Length"]))
            return web.Response(body=reply, headers={"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(head)})

        async def get(request):
            return web.json_response(metadata if request.path.endswith("linear") else {})

        app = web.Application(client_max_size=64 << 20)
        app.add_routes([web.get("/v2", get), web.get("/v2/health/ready", get), web.get("/v2/models/linear", get),
                        web.post("/v2/models/linear/infer", post)])
        print(f"aiohttp {__version__} (FastAPI is not installed), {words}", flush=True)
        web.run_app(app, host="127.0.0.1", port=options.port, print=None)


if __name__ == "__main__":
    main()
