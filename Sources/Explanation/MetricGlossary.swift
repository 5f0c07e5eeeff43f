public import JSONText
import Reporting

/// What the figures called "GPU utilization" mean, and what they are mistaken for.
public enum MetricGlossary {
  /// One metric.
  public struct Entry: Sendable, Hashable {
    /// As its tool calls it.
    public var name: String
    /// Other names of the same.
    public var aliases: [String]
    /// What is counted.
    public var meaning: String
    /// temporal, space x time, occupancy, pipe use, bandwidth.
    public var kind: String
    /// What it is taken for, and is not.
    public var pitfall: String
    /// Our figure beside it.
    public var ours: String

    /// As printed, 80 columns.
    public var lines: [String] {
      func line(_ head: String, _ text: String) -> [String] {
        Report.wrap(text, width: 80, indent: "           ", first: head + String(repeating: " ", count: 11 - head.count))
      }
      return Report.wrap(name + (aliases.isEmpty ? "" : " (\(aliases.joined(separator: ", ")))"), width: 80, indent: "  ", first: "")
        + line("counts", meaning) + line("kind", kind)
        + line("pitfall", pitfall) + line("here", ours)
    }

    /// One object.
    public func json(version: String) -> JSONValue {
      [
        "schema": "headroom.explain-metric/1", "headroom": .string(version), "mode": "measured", "name": .string(name),
        "aliases": .array(aliases.map { .string($0) }), "counts": .string(meaning), "kind": .string(kind), "pitfall": .string(pitfall),
        "here": .string(ours),
      ]
    }
  }

  /// By name or alias, whatever the case and the signs between words.
  public static func find(_ name: String) -> Entry? {
    func plain(_ text: String) -> String { text.lowercased().filter { $0.isLetter || $0.isNumber } }
    let asked = plain(name)
    if asked.isEmpty { return nil }
    return entries.first { entry in ([entry.name] + entry.aliases).contains { plain($0) == asked } }
      ?? entries.first { entry in ([entry.name] + entry.aliases).contains { plain($0).contains(asked) } }
  }

  /// Every metric that is known here.
  public static let entries: [Entry] = [
    Entry(
      name: "GPU-Util",
      aliases: ["nvidia-smi", "utilization.gpu", "NVML utilization.gpu", "DCGM 203", "DCGM_FI_DEV_GPU_UTIL", "nv_gpu_utilization"],
      meaning: "share of the last sample period (1/6 to 1 s) in which at least one kernel ran; long copies count in part.",
      kind: "temporal",
      pitfall: "not how much of the GPU works: one thread block that runs all the time shows 100 %.",
      ours: "GPU busy time; explain predicts it from a trace."),
    Entry(
      name: "nvidia-smi dmon sm", aliases: ["pmon sm%", "smUtil"],
      meaning: "the compute engine's busy time of a process.", kind: "temporal, despite its name",
      pitfall: "read as a share of SMs; it is a share of time.", ours: "GPU busy time"),
    Entry(
      name: "graphics engine active", aliases: ["DCGM 1001", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "GPM GRAPHICS_UTIL", "GR Active"],
      meaning: "share of time in which any part of the graphics or compute engine was active.", kind: "temporal",
      pitfall: "a little above GPU busy time: about 1.3 us more around each kernel that starts on an idle GPU (measured on H100 and H200).",
      ours: "DCGM 1001, predicted"),
    Entry(
      name: "SM active", aliases: ["DCGM 1002", "DCGM_FI_PROF_SM_ACTIVE", "GPM SM_UTIL", "SMs Active"],
      meaning: "share of SMs with at least one warp resident, averaged over all SMs and time.", kind: "space x time",
      pitfall: "a resident warp that waits counts; 80 % is needed for an efficient GPU and does not prove it.",
      ours: "DCGM 1002, predicted: SMs with a resident block x GPU busy time, less launch and drain"),
    Entry(
      name: "SM occupancy", aliases: ["DCGM 1003", "DCGM_FI_PROF_SM_OCCUPANCY", "GPM SM_OCCUPANCY"],
      meaning: "resident warps over the maximum, per elapsed cycle.", kind: "occupancy",
      pitfall: "idle time dilutes it; low occupancy is normal for tensor-core kernels.", ours: "none: it says little of what limits"),
    Entry(
      name: "tensor active", aliases: ["DCGM 1004", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "GPM ANY_TENSOR_UTIL"],
      meaning: "share of cycles in which the tensor pipe was active.", kind: "pipe use",
      pitfall: "in cycles: at a throttled clock 90 % of cycles may be 60 % of the rated FLOP/s.", ours: "DCGM 1004, predicted"),
    Entry(
      name: "DRAM active", aliases: ["DCGM 1005", "DCGM_FI_PROF_DRAM_ACTIVE", "GPM DRAM_BW_UTIL", "utilization.memory"],
      meaning: "share of cycles in which data moved to or from device memory (utilization.memory: share of time, any traffic).",
      kind: "bandwidth",
      pitfall: "0.8 is the practical ceiling; what L2 serves is not in it.", ours: "DCGM 1005, predicted, with a wide interval"),
    Entry(
      name: "sm__throughput", aliases: ["ncu Compute (SM) Throughput"],
      meaning: "the busiest SM sub-unit's share of its peak over one kernel's cycles.", kind: "share of a limit, per kernel",
      pitfall: "per kernel and replayed: it says nothing of the gaps between kernels.", ours: "% of roofline per kernel"),
    Entry(
      name: "GPU busy time", aliases: ["busy"],
      meaning: "union of kernel intervals over the span of a trace: overlapping kernels count once.", kind: "temporal, exact",
      pitfall: "a profiler slows launches: where they limit it is a lower bound; give the unprofiled rate (--rate).", ours: "itself"),
    Entry(
      name: "SMs with a resident block", aliases: ["resident SMs"],
      meaning: "SMs that hold a block while a kernel runs, from grid, block, registers and shared memory, weighted by time.", kind: "space",
      pitfall: "from the launch, not from a counter: blocks that end early make it too high.", ours: "itself"),
    Entry(
      name: "MFU", aliases: ["model FLOPs utilization"],
      meaning: "FLOPs of the model as written over the dense peak of its data type.", kind: "useful work",
      pitfall: "needs the graph: a trace alone knows executed work only, padding and copies included.",
      ours: "headroom plan MODEL --gpu NAME"),
  ]
}
