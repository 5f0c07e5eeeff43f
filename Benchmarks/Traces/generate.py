#!/usr/bin/env python3
"""Writes large traces to measure readers with: the same every time, no machine needed.

  generate.py nsight OUT.sqlite [--kernels 5000000] [--calls 12000000]    about 1 GB
  generate.py kineto OUT.json   [--megabytes 1000]                       (.gz: compressed)

A step of a server is 20 kernels between two copies, launched by one thread of two processes in turn; a wait ends it. Columns and
members are those of Nsight Systems' schema 3.25.0 and of PyTorch 2.11.
"""
import argparse
import gzip
import os
import sqlite3
import sys

KERNEL = """start, end, deviceId, contextId, greenContextId, streamId, correlationId, globalPid, demangledName, shortName, mangledName,
 launchType, cacheConfig, registersPerThread, gridX, gridY, gridZ, blockX, blockY, blockZ, staticSharedMemory, dynamicSharedMemory,
 localMemoryPerThread, localMemoryTotal, gridId, sharedMemoryExecuted, graphNodeId, sharedMemoryLimitConfig, qmdBulkReleaseDone,
 qmdPreexitDone, qmdLastCtaDone, graphId, clusterX, clusterY, clusterZ, clusterSchedulingPolicy, maxPotentialClusterSize,
 maxActiveClusters, sharedMemoryRequestedPercentage, tensorSizeMinusOneElements"""


def nsight(path, kernels, calls):
    if os.path.exists(path):
        os.unlink(path)
    base = sqlite3.connect(path)
    base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA page_size = 4096; PRAGMA cache_size = -65536;")
    columns = ", ".join(f'"{c.strip()}" INTEGER' for c in KERNEL.split(","))
    base.executescript(f"""
      CREATE TABLE META_DATA_EXPORT (name TEXT, value TEXT);
      INSERT INTO META_DATA_EXPORT VALUES ('EXPORT_PRODUCT_NAME', 'NVIDIA Nsight Systems'), ('EXPORT_SCHEMA_VERSION', '3.25.0');
      CREATE TABLE StringIds (id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL);
      CREATE TABLE TARGET_INFO_GPU (id INTEGER, name TEXT, smCount INTEGER, cuDevice INTEGER);
      INSERT INTO TARGET_INFO_GPU VALUES (0, 'NVIDIA H100 80GB HBM3', 132, 1), (1, 'NVIDIA H100 80GB HBM3', 132, 0);
      CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL ({columns});
      CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, eventClass INTEGER, globalTid INTEGER, correlationId INTEGER,
        nameId INTEGER, returnValue INTEGER, callchainId INTEGER);
      CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (start INTEGER, end INTEGER, deviceId INTEGER, contextId INTEGER, streamId INTEGER,
        correlationId INTEGER, globalPid INTEGER, bytes INTEGER, copyKind INTEGER, srcKind INTEGER, dstKind INTEGER);
    """)
    names = [f"void gemm_{i}<float, {i}, (Layout){i % 3}>(Params<float, {i}>)" for i in range(60)]
    names += [f"gemm_{i}" for i in range(60)]
    names += ["cudaLaunchKernel_v7000", "cudaMemcpyAsync_v3020", "cudaEventRecord_v3020", "cudaStreamSynchronize_v3020"]
    base.executemany("INSERT INTO StringIds VALUES (?, ?)", list(enumerate(names)))
    # A kernel of 4 to 7 us every 8 us; each has its launch call, and other calls stand between.
    pid = "(281474976710656 + ((x / 20 % 2) + 100) * 16777216)"
    base.execute(f"""
      WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {kernels - 1})
      INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL SELECT 1000000 + x * 8000, 1000000 + x * 8000 + 4000 + (x * 7919) % 3000, x / 20 % 2, 1, 0, 7 + x % 3,
        x * 2 + 1, {pid}, x % 60, 60 + x % 60, NULL, 1, 1, 32 + x % 60, 8 + x % 60, 12, 1, 128, 1, 1, 0, 49152, 0, 250871808, x % 100000, 65536, NULL, 0,
        NULL, NULL, NULL, NULL, 0, 0, 0, 1, 0, 0, NULL, NULL FROM n""")
    base.execute(f"""
      WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {kernels - 1})
      INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME SELECT 994000 + x * 8000, 994000 + x * 8000 + 3200 + (x * 104729) % 1800, 0, {pid} + 100, x * 2 + 1, 120, 0, NULL
        FROM n""")
    base.execute(f"""
      WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {max(1, calls - kernels) - 1})
      INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME SELECT 999000 + x * 5700, 999000 + x * 5700 + 300 + (x * 104729) % 900, 0, {pid} + 101, x * 2, 121 + x % 3, 0, NULL
        FROM n""")
    base.execute(f"""
      WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {kernels // 10})
      INSERT INTO CUPTI_ACTIVITY_KIND_MEMCPY SELECT 1000000 + x * 80000 + 7000, 1000000 + x * 80000 + 9000, x % 2, 1, 7, x * 2, {pid}, 65536, 1 + x % 2, 1, 2
        FROM n""")
    base.commit()
    base.close()
    print(f"{path}: {os.path.getsize(path) / 1e6:.0f} MB", file=sys.stderr)


OPERATOR = (
    '  {{\n    "ph": "X", "cat": "cpu_op", "name": "aten::{name}", "pid": 507, "tid": 507,\n    "ts": {ts:.3f}, "dur": 31.086,\n'
    '    "args": {{\n      "External id": {id},"Record function id": 0, "Concrete Inputs": ["", "", ""], "Input type": ["c10::Half", "c10::Half", '
    '"c10::Half"], "Input Strides": [[1024, 1], [1, 1024], [1]], "Input Dims": [[256, 1024], [1024, 1024], [1024]], "Ev Idx": {id}\n    }}\n  }}'
)
LAUNCH = (
    '  {{\n    "ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 507, "tid": 507,\n    "ts": {ts:.3f}, "dur": 4.474,\n'
    '    "args": {{\n      "External id": {id},"cbid": 211, "correlation": {correlation}\n    }}\n  }},\n'
    '  {{\n    "ph": "s", "id": {correlation}, "pid": 507, "tid": 507, "ts": {ts:.3f},\n    "cat": "ac2g", "name": "ac2g"\n  }}'
)
KINETO_KERNEL = (
    '  {{\n    "ph": "X", "cat": "kernel", "name": "void at::native::vectorized_elementwise_kernel<{n}, at::native::CUDAFunctor_add<c10::Half>, '
    'std::array<char*, 3ul> >(int, at::native::CUDAFunctor_add<c10::Half>, std::array<char*, 3ul>)", "pid": 0, "tid": 7,\n    "ts": {ts:.3f}, '
    '"dur": 4.8,\n    "args": {{\n      "External id": {id},"queued": 0, "device": 0, "context": 1,\n      "stream": 7, "correlation": {correlation},\n'
    '      "registers per thread": 168,\n      "shared memory": 231868,\n      "blocks per SM": 0.727273,\n      "warps per SM": 8.727273,\n'
    '      "grid": [8, {n}, 1],\n      "block": [384, 1, 1],\n      "est. achieved occupancy %": 0\n    }}\n  }},\n'
    '  {{\n    "ph": "f", "id": {correlation}, "pid": 0, "tid": 7, "ts": {ts:.3f},\n    "cat": "ac2g", "name": "ac2g", "bp": "e"\n  }}'
)


def kineto(path, megabytes):
    out = gzip.open(path, "wt", compresslevel=4) if path.endswith(".gz") else open(path, "w")
    limit, written, index = megabytes * 1_000_000, 0, 0
    head = '{\n  "schemaVersion": 1,\n  "deviceProperties": [{"id": 0, "name": "NVIDIA H200", "numSms": 132, "warpSize": 32}],\n  "traceEvents": [\n'
    out.write(head)
    written += len(head)
    while written < limit:
        parts = []
        for _ in range(2000):
            ts = 4841461315168.838 + index * 9.5
            parts.append(OPERATOR.format(name=("linear", "relu", "layer_norm")[index % 3], ts=ts, id=index))
            parts.append(LAUNCH.format(ts=ts + 3, id=index, correlation=index + 1))
            parts.append(KINETO_KERNEL.format(ts=ts + 8, id=index, correlation=index + 1, n=1 + index % 40))
            index += 1
        text = ",\n".join(parts)
        if written > len(head):
            text = ",\n" + text
        out.write(text)
        written += len(text)
    out.write("\n  ]\n}\n")
    out.close()
    print(f"{path}: {written / 1e6:.0f} MB of text, {index} kernels", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["nsight", "kineto"])
    parser.add_argument("path")
    parser.add_argument("--kernels", type=int, default=5_000_000)
    parser.add_argument("--calls", type=int, default=12_000_000)
    parser.add_argument("--megabytes", type=int, default=1000)
    given = parser.parse_args()
    if given.kind == "nsight":
        nsight(given.path, given.kernels, given.calls)
    else:
        kineto(given.path, given.megabytes)


if __name__ == "__main__":
    main()
