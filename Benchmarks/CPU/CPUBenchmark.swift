import CKernels
import Dispatch
import Execution
import Glibc
import HeapCount
import ModelGraph
import ONNXFormat
import Synchronization
import TimeBase

/// A co-process for `Benchmarks/CPU/compare.py`: loads a model, then answers lines on standard input.
///
///     benchmark-cpu allocations      -> heap allocations of a batch in steady state; fails unless the own kernels take none
///     benchmark-cpu MODEL.onnx fp32 2 automatic
///     rows 8      -> milliseconds of one batch
///     steps 8     -> milliseconds by step
///     peak        -> GFLOP/s of an FMA loop on all threads
///     bandwidth   -> GB/s of a read loop over 512 MiB on all threads
@main
struct CPUBenchmark {
  static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// A line at once: the reader waits for it.
  static func say(_ line: String) { _ = Array((line + "\n").utf8).withUnsafeBytes { write(1, $0.baseAddress, $0.count) } }

  static func main() throws {
    let arguments = CommandLine.arguments
    if arguments.count == 2, arguments[1] == "allocations" { exit(try Allocations.count() ? 0 : 1) }
    guard arguments.count >= 5, let precision = LoadOptions.Precision(rawValue: arguments[2]), let threads = Int(arguments[3]),
      let engine = CPUDeviceOptions.Engine(rawValue: arguments[4])
    else {
      print("usage: benchmark-cpu MODEL.onnx fp32|bf16|fp16 THREADS automatic|own|onednn")
      exit(64)
    }
    let graph = try ONNXReader.read(path: arguments[1])
    let device = try CPUDevice(CPUDeviceOptions(threads: threads, engine: engine))
    let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 256, precision: precision))
    let instance = try model.makeInstance()
    say("ready \(device.description.hardware)")
    while let line = readLine() {
      let words = line.split(separator: " ")
      switch words.first {
      case "rows": if let rows = words.last.flatMap({ Int($0) }) { say("\(try milliseconds(instance, graph, rows, nil))") }
      case "steps":
        if let rows = words.last.flatMap({ Int($0) }) {
          let recorder = Recorder()
          _ = try milliseconds(instance, graph, rows, recorder)
          for (name, time) in zip(model.steps(rows: rows).map(\.name), recorder.times.withLock({ $0 })) { say("\(name): \(time)") }
        }
      case "peak": say("\(peak(threads))")
      case "bandwidth": say("\(bandwidth(threads))")
      default: return
      }
    }
  }

  static func milliseconds(_ instance: any ModelInstance, _ graph: Graph, _ rows: Int, _ recorder: Recorder?) throws -> Double {
    let slot = try instance.prepare(graph.inputs.map { Shapes.sizes(graph[$0].shape, rows: rows) ?? [] })
    for input in slot.inputs {
      let floats = input.memory.bindMemory(to: Float.self)
      for index in floats.indices { floats[index] = Float(index % 17) * 0.01 }
    }
    let start = seconds()
    instance.run(slot, events: recorder) { _ in }
    return (seconds() - start) * 1e3
  }

  static func peak(_ threads: Int) -> Double {
    let total = Mutex(0.0)
    let start = seconds()
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
      var flops = 0.0
      let sum = headroom_fma_loop(headroom_kernels_level(), 20_000_000, &flops)
      total.withLock { $0 += sum.isNaN ? 0 : flops }
    }
    return total.withLock { $0 } / (seconds() - start) / 1e9
  }

  static func bandwidth(_ threads: Int) -> Double {
    let count = 128 << 20
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: count)
    memory.initialize(repeating: 1, count: count)
    defer { memory.deallocate() }
    var best = 0.0
    for _ in 0..<3 {
      let start = seconds()
      let base = UInt(bitPattern: memory)
      DispatchQueue.concurrentPerform(iterations: threads) { index in
        if let data = UnsafePointer<Float>(bitPattern: base) {
          _ = headroom_read_loop(headroom_kernels_level(), data + count / threads * index, Int64(count / threads))
        }
      }
      best = max(best, Double(count * 4) / (seconds() - start) / 1e9)
    }
    return best
  }
}

final class Recorder: LaunchRecorder {
  let times = Mutex<[Double]>([])

  func record(_ kernel: KernelRun) { times.withLock { $0.append((kernel.end - kernel.start).milliseconds) } }
  func record(_ copy: CopyRun) {}
  func record(_ call: DriverCall) {}
  func record(_ synchronization: SynchronizationRun) {}
}
