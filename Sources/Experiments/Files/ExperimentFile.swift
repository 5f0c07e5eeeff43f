public import HostModel
import FileAccess
public import GPUModel
import JSONText
import Simulation
import YAMLFields

/// Experiments as YAML files. Errors name file, line and field.
public enum ExperimentFile {
  /// Reads one.
  public static func read(path: String) throws(ExperimentError) -> Experiment {
    let text: String
    do { text = try Files.readText(path, limit: 1 << 20) } catch { throw ExperimentError("\(error)") }
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) + "/" } ?? ""
    return try parse(text, file: path, folder: folder)
  }

  /// Reads the text of one.
  ///
  /// - Parameters:
  ///   - file: for messages.
  ///   - folder: relative paths in the file start here; ends in "/" unless empty.
  public static func parse(_ text: String, file: String, folder: String = "") throws(ExperimentError) -> Experiment {
    let fields = try YAMLFields(
      text: text, file: file, kind: "an experiment", whenEmpty: "`headroom bench --init` writes one to start from")
    var reader = ExperimentReader(file: file, folder: folder)
    return try reader.experiment(fields)
  }

  /// The GPU behind "sim:NAME".
  public static func gpu(device: String) throws(ExperimentError) -> GPU {
    guard device.hasPrefix("sim:") else {
      throw ExperimentError("device \"\(device)\": only simulated devices can be used here; write sim:NAME, as in sim:rtx-pro-6000")
    }
    return try Experiment.gpu(String(device.dropFirst(4)))
  }

  /// A profile that ships, or a file.
  public static func host(_ name: String, folder: String = "") throws(ExperimentError) -> HostProfile {
    if let known = HostProfile.named(name) { return known }
    guard name.hasSuffix(".json") || name.contains("/") else {
      let names = HostProfile.builtIn.map(\.name).joined(separator: ", ")
      throw ExperimentError("no host profile is called \"\(name)\"; there are \(names), or a .json file")
    }
    let path = name.hasPrefix("/") ? name : folder + name
    do { return try HostProfile(json: try JSONValue.parse(try Files.readText(path, limit: 1 << 20))) } catch let error as FileError {
      throw ExperimentError("\(error)")
    } catch { throw ExperimentError("\(path): \(error)") }
  }

  /// What `--init` prints: the case study's experiment, explained.
  public static let template = """
    # An experiment: what is compared, under which load, on which device, at which host costs.
    # Run it with: headroom bench FILE
    name: case-study
    question: Three classification heads behind one serving configuration. How much of the GPU idles, why, and what would change it?

    # What findings are ranked by: throughput, latency or cost. Left out: throughput in a closed loop, latency in an open one.
    # goal: cost
    p99GoalMilliseconds: 100     # headroom is stated at this p99 latency
    repetitions: 3               # runs of every variant, each with its own seed
    seed: 1

    device: sim:rtx-pro-6000     # sim:NAME; the names are those of `headroom plan --gpu`
    # deviceTimeScale: 2         # what if the device were half as fast?
    # Left out: triton-26.02, whose load generator costs nothing. This one models a Locust process at 0.855 ms per request.
    host: triton-26.02-locust    # a profile that ships (also headroom-local), or a JSON file
    # hostCosts:                 # single entries of the profile, replaced
    #   clientCores: 8
    #   launch: 3.5

    workload:
      users: 1000                # a closed loop; or `rate: 500` for an open one (requests per second, Poisson)
      spawnRate: 100             # users started per second
      think: uniform:0.08,0.48   # constant:S, uniform:S,S or exponential:S, seconds
      rows: 50                   # rows per request, or a range such as 1-100
      warmUpSeconds: 15          # cut off
      seconds: 120               # looked at

    serving:
      # config: config.pbtxt     # Triton's own file, relative to this one; or inline:
      maxBatchSize: 256
      dynamicBatching:
        preferredBatchSize: [128, 256]
        maxQueueDelayMicroseconds: 10000
        preserveOrdering: true
        timeoutAction: REJECT
        defaultTimeoutMicroseconds: 120000000
        maxQueueSize: 20480
      instances: 1
      issuing: perDevice         # perDevice: one thread issues for all instances; perInstance: one each
      eagerBatching: false
      cudaGraphs: false
      pinnedMemory: true

    # Every variant may replace workload, serving, device, deviceTimeScale, host, hostCosts, dtype, fusion and rewrites.
    variants:
      - name: linear
        model: linear            # linear, stacked, seqlen, encoder, or an .onnx file
        # dimensions: {"ids:1": 128} # of an .onnx file: sizes of dynamic axes other than the batch axis
        layers: 19               # as the case study's kernel counts say; its text says 20
      - name: stacked
        model: stacked
        layers: 19
        heads: 5
      - name: seqlen
        model: seqlen
        layers: 20               # counts proj_in and proj_out too: 19 large GEMMs
        sequence: 128
        # rewrites: [sink-broadcast]
        # fusion: none          # as a framework runs it: LayerNorm, ReLU and batched biases are kernels of their own

    """
}
