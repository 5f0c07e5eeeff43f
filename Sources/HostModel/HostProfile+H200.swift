extension HostProfile {
  private static let machine = "H200 in a virtual machine of 16 cores (Xeon), driver 580.159, CUDA 13.0"

  private static func loop(_ value: Double, _ note: String) -> Entry {
    Entry(value, .measured, "\(machine); C++ loop, medians, nothing else running: \(note)")
  }

  private static func torch(_ value: Double, _ note: String) -> Entry {
    Entry(value, .measured, "\(machine); PyTorch 2.11, eager, one Python thread: \(note)")
  }

  private static func curve(_ points: [(bytes: Double, microseconds: Double)], _ note: String) -> [CopyCurve] {
    CopyCurve(points.map { .init(bytes: $0.bytes, microseconds: $0.microseconds) }, .measured, "\(machine); \(note)").map { [$0] } ?? []
  }

  /// What the GPU does by itself, whoever launches.
  private static let deviceEntries: [HostCost: Entry] = [
    .kernelGap: loop(1.0, "end to start of dependent kernels on one stream, both queued; p10 0.9; 1.1 to 1.9 after large grids"),
    .graphKernelGap: loop(
      0.45, "between real kernels of a replayed graph (0.38 to 0.61 in a trace of 41-kernel graphs); an empty node's period is 0.6"),
    .dependentKernelGap: loop(
      0.22, "graphs of 20 products, edges made programmatic: 0.1 to 0.4 us per kernel shorter than plain edges (85.6 against 90.4 us)"),
    .graphLatency: loop(
      5.9, "from the call's return to the first kernel's start, 41-node graphs on an idle GPU, under a profiler; p10 5.8, p90 6.2"),
    .engineStart: Entry(
      1.3, .measured,
      "\(machine): GPM graphics active less kernel time per step, over the kernels that start on an idle GPU, five steady loops: 1.22 to "
        + "1.32 us; 1.4 to 1.8 us in two loops of an H100"),
  ]

  private static let pinnedUpload = curve(
    [(4096, 3.1), (524_288, 12.3), (2_097_152, 41), (67_108_864, 1212)], "host to device, page-locked, one copy at a time; 55.4 GB/s")
  private static let smallDownload = curve(
    [(1000, 1.44), (5000, 1.60), (24_576, 1.86), (67_108_864, 1213)],
    "device to host, copy records up to 24 KB; beyond, the upload's bandwidth (not measured in this direction)")

  private static func copies(uploadPageable: [CopyCurve]) -> [CopyKind: CopyCurve] {
    var copies: [CopyKind: CopyCurve] = [:]
    for curve in pinnedUpload { copies[.uploadPinned] = curve }
    for curve in uploadPageable { copies[.uploadPageable] = curve }
    for curve in smallDownload { (copies[.downloadPinned], copies[.downloadPageable]) = (curve, curve) }
    return copies
  }

  /// A compiled program that launches onto an H200.
  public static let h200Native = HostProfile(
    name: "h200-native", about: "a C++ program on an \(machine); launching, waiting, copying and what observing costs are measured",
    entries: deviceEntries.merging([
      .operation: loop(0, "launches one after the other"),
      .launch: loop(3.3, "an empty kernel's call; p99 6.1"),
      .graphLaunch: loop(5.9, "a graph of 20 nodes; replays one after the other have a period of 12.1 us"),
      .launchLatency: loop(2.3, "from a late launch's return to the kernel's start; p10 2.1, p90 2.4"),
      .spinWakeUp: loop(1.8, "launch + stream synchronization of an empty kernel takes 8.2 to 8.9 us, less call, latency and kernel"),
      .eventWakeUp: loop(32, "a blocking event in place of spinning: 30 us more"),
      .copyLatency: loop(3.1, "4 KB to the device, page-locked"),
      .copyPerByte: loop(0.01805, "64 MB to the device, page-locked: 1,212 us"),
      .copyPerBytePageable: loop(0.0492, "64 MB to the device, pageable: 3,300 us"),
      .profilerPerLaunch: loop(
        1.0, "CUPTI activity records of kernels, API calls and synchronization: 3.3 to 4.3 us; kernels alone 5.6 us"),
      .profilerPerGraphLaunch: loop(9.3, "the same, a graph of 20 nodes: 5.9 to 15.2 us; kernels alone 26.7 us"),
    ]) { $1 },
    copies: copies(
      uploadPageable: curve(
        [(4096, 2.5), (524_288, 33), (2_097_152, 105), (67_108_864, 3300)],
        "host to device, pageable, the same buffer again and again; 15.5 to 20 GB/s")))

  /// Eager PyTorch that launches onto an H200.
  public static let h200PyTorch = HostProfile(
    name: "h200-pytorch", about: "eager PyTorch 2.11 on an \(machine); launching, waiting, copying and what observing costs are measured",
    entries: deviceEntries.merging([
      .operation: torch(
        12, "a step's time less launch calls, per kernel launched: 744 us and 41 kernels (linear head), 1,000 us and 62 (stacked)"),
      .forwardPass: Entry(
        2150, .fitted,
        "Transformers on an H100's virtual machine of 16 cores: MiniLM's step of 4,000 us less 1,840 that its operators take here. Its trace "
          + "shows 0.6 ms outside the layers; the rest lies between operators, and in a host whose launch calls took 5.9 us for 4.5"),
      .compiledCall: Entry(
        338, .measured,
        "torch.compile on an H100's virtual machine of 16 cores, medians of 36 calls under PyTorch's profiler: from the previous result's "
          + "arrival to the call that launches the graph"),
      .launch: torch(4.5, "launch records of CUDA runtime and driver; p10 3.9, p90 5.9"),
      .graphLaunch: Entry(
        12, .fitted,
        "a graph of 41 nodes: 5.9 us for 20 nodes in a C++ loop, times the nodes; under PyTorch's profiler the call takes 31.5 us"),
      .launchLatency: torch(2.3, "from a late launch's return to the kernel's start (6.8 from its begin); p10 2.1, p90 2.4"),
      .spinWakeUp: torch(3.1, "from the last kernel's end to the return of cudaDeviceSynchronize or cudaStreamSynchronize; p90 3.7"),
      .eventWakeUp: loop(32, "a blocking event in place of spinning: 30 us more"),
      .copyLatency: loop(3.1, "4 KB to the device, page-locked"),
      .copyPerByte: loop(0.01805, "64 MB to the device, page-locked: 1,212 us"),
      .copyPerBytePageable: torch(0.1044, "128 MiB to the device, pageable: 14,015 us"),
      .profilerPerLaunch: torch(
        3.0,
        "PyTorch's profiler, CPU and CUDA activities: 744 to 873 us per step of 43 launches and copies; 5 in MiniLM and 28 in BERT, whose modules have more operations per launch"
      ),
      .profilerPerGraphLaunch: Entry(
        19, .fitted, "31.5 us per call of a 41-node graph under PyTorch's profiler, less graphLaunch"),
    ]) { $1 },
    copies: copies(
      uploadPageable: curve(
        [(4096, 2.5), (134_217_728, 14_015)],
        "host to device, pageable: 128 MiB per step at 9.6 GB/s (copy records, medians), 4 KB from a C++ loop")))
}
