extension HostProfile {
  private static let tritonMachine =
    "tritonserver 2.51 and its client on the 16 cores of an H200's virtual machine, PyTorch CUDA graphs behind the Python back end, one instance"

  private static func linear(_ value: Double, _ note: String) -> Entry {
    Entry(value, .fitted, "\(tritonMachine); fitted to the linear head alone: \(note)")
  }

  /// Triton's Python back end on an H200. Fitted on the linear head alone, whose GPU work is a tenth of its batch: every other model is a
  /// prediction. The loop of an instance is serial: it takes a batch, copies, replays, waits, answers, and only then takes the next.
  public static let h200TritonPython: HostProfile = {
    var entries: [HostCost: Entry] = [
      .clientCores: Entry(1, .measured, "one asyncio process; 0.92 of its core used"),
      .clientPerRequest: Entry(279, .measured, "0.924 cores at 3,316 requests/s, linear"),
      .clientVisits: Entry(2, .assumed, "one to send, one for the response"),
      .clientVisitsInsideLatency: Entry(2, .assumed, "one to send, one for the response"),
      .networkLatency: Entry(30, .assumed, "loopback"),
      .networkPerByte: Entry(0.1, .assumed, "10 GB/s, loopback"),
      .frontEndCores: Entry(8, .literature, "tritonserver's default number of HTTP threads"),
      .frontEndPerRequest: Entry(100, .assumed, "of 1.0 to 1.3 cores used by the server at 3,300 to 3,600 requests/s"),
      .frontEndPerByte: Entry(0.1, .assumed, "one copy into shared memory"),
      .responsePerRequest: Entry(40, .assumed, "a response of a few hundred bytes"),
      .batchHandOff: linear(190, "1,382 us per batch at saturation, less what Triton counts as input, inference and output"),
      .gatherPerBatch: linear(160, "compute_input at five requests per batch"),
      .gatherPerByte: Entry(0, .fitted, "contained in the other costs of gathering"),
      .gatherPerRequest: linear(41, "compute_infer 894 us with 5 requests per batch, 2,160 us with 36"),
      .graphLaunch: linear(
        555, "compute_infer (894 us at five requests) less gathering by request, copy and kernels: the back end's Python around one replay"),
      .graphLatency: h200PyTorch[.graphLatency],
      .spinWakeUp: linear(115, "compute_output, 98 to 148 us: the loop goes on after the responses are out"),
      .responsePerBatch: Entry(0, .assumed, "contained in spinWakeUp"),
    ]
    for cost in [
      HostCost.operation, .launch, .launchLatency, .kernelGap, .graphKernelGap, .dependentKernelGap, .engineStart, .copyLatency,
      .copyPerByte,
    ] {
      entries[cost] = h200PyTorch[cost]
    }
    return HostProfile(
      name: "h200-triton-python", about: "\(tritonMachine); the loop's costs are fitted to the linear head alone", entries: entries,
      copies: h200PyTorch.copies)
  }()

  /// The same server, asked by a generator whose cost is small: 0.27 of a core at 3,617 requests/s.
  public static let h200TritonPythonFastClient = h200TritonPython.with(
    .clientPerRequest, 74, .measured, "`headroom load`: 0.27 cores at 3,617 requests/s"
  ).with(.clientCores, 8, .measured, "event loops on several cores")
}
