extension HostProfile {
  /// Profiles that ship.
  public static let builtIn = [triton, tritonServer, local, h200PyTorch, h200Native, h200TritonPython]

  /// A profile that ships, by name.
  public static func named(_ name: String) -> HostProfile? { builtIn.first { $0.name == name } }

  /// The case study's host: a Triton server in front of a discrete GPU, asked by one Locust process.
  public static let triton = HostProfile(
    name: "triton-26.02-locust",
    about: "Triton 26.02 with its TensorRT backend on a PCIe 5 workstation, driven over loopback by one Locust process (1,000 users)",
    entries: [
      .clientCores: Entry(1, .literature, "Locust's documentation: a process uses one core"),
      .clientPerRequest: Entry(
        855, .fitted,
        "to the case study's Linear and SeqLen runs (`bench --hypotheses`); Locust's own figure for small requests is 250 to 1,180 us"),
      .clientPerByte: Entry(0, .assumed, "contained in clientPerRequest: all of the case study's requests are alike"),
      .clientVisits: Entry(4, .assumed, "a greenlet is resumed after its wait, to send, on the response's head and on its body"),
      .clientVisitsInsideLatency: Entry(3, .assumed, "all but the one after the wait"),
      .networkLatency: Entry(30, .assumed, "loopback or one switch"),
      .networkPerByte: Entry(0.1, .assumed, "10 GB/s, loopback"),
      .frontEndCores: Entry(8, .literature, "tritonserver's default number of HTTP threads"),
      .frontEndPerRequest: Entry(40, .assumed, "of Triton's 31 us a small request measured on another machine, receiving and parsing"),
      .frontEndPerByte: Entry(0.15, .assumed, "one copy out of the socket and one into the request's buffer"),
      .responsePerRequest: Entry(15, .assumed, "a response of a few hundred bytes"),
      .batchHandOff: Entry(
        230, .fitted, "to the case study's Linear and SeqLen runs, together with think time and client cost (`bench --hypotheses`)"),
      .gatherPerBatch: Entry(20, .assumed, "set-up of a payload"),
      .gatherPerByte: Entry(0.1, .assumed, "10 GB/s, one core copying into page-locked memory"),
      .copyLatency: Entry(6, .literature, "usual cost of a small cudaMemcpyAsync from start to end"),
      .copyPerByte: Entry(0.02, .literature, "PCIe 5 x16, about 50 GB/s page-locked"),
      .copyPerBytePageable: Entry(0.15, .literature, "staged copies, 5 to 10 GB/s"),
      .launch: Entry(4.5, .literature, "the published case study's profile: 90 to 110 us of launches per batch of 20 kernels"),
      .graphLaunch: Entry(10, .literature, "about 2 us and 0.3 to 0.4 us a node; NVIDIA's blog on constant-time launch"),
      .launchLatency: Entry(3, .literature, "NVIDIA's blog on overhead and latency: 2 to 5 us"),
      .eventWakeUp: Entry(30, .assumed, "a blocking event: interrupt, futex wake, scheduling"),
      .responsePerBatch: Entry(20, .assumed, "scatter of a few kilobytes of outputs"),
    ])

  /// The same server, asked by a load generator that costs nothing: what limits is the server's. Where nothing else is named.
  public static let tritonServer: HostProfile = {
    let free = "no load generator in the way: name a profile with one to model it"
    var profile = triton.with(.clientPerRequest, 0, .assumed, free).with(.clientPerByte, 0, .assumed, free)
      .with(.clientCores, 64, .assumed, free)
    profile.name = "triton-26.02"
    profile.about = "Triton 26.02 with its TensorRT backend on a PCIe 5 workstation, over loopback; the load generator costs nothing"
    return profile
  }()

  /// A small server of our own kind on the local machine. Nothing of it is measured on yours: `calibrate` will write one that is.
  public static let local = HostProfile(
    name: "headroom-local", about: "our own server and generator on one machine; usual values until this machine is measured", entries: [:])
}
