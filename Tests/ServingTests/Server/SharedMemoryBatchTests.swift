import FileAccess
import Glibc
import KServe
import NIOCore
import Testing
import Threads
import TimeBase

@testable import Serving

/// Clients may take their shared memory away at any time.
@Suite struct SharedMemoryBatchTests {
  /// A POSIX shared-memory object of this test.
  private final class SharedObject {
    let key: String
    private let descriptor: Int32

    init(_ bytes: [UInt8]) throws {
      key = "/headroom-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
      descriptor = shm_open(key, O_RDWR | O_CREAT | O_EXCL, 0o600)
      try #require(descriptor >= 0)
      try #require(ftruncate(descriptor, bytes.count) == 0)
      try #require(pwrite(descriptor, bytes, bytes.count, 0) == bytes.count)
    }

    deinit {
      close(descriptor)
      shm_unlink(key)
    }

    func truncate(_ count: Int) { _ = ftruncate(descriptor, count) }

    var bytes: [UInt8] {
      var bytes = [UInt8](repeating: 0, count: 64)
      let count = pread(descriptor, &bytes, 64, 0)
      return Array(bytes.prefix(max(0, count)))
    }
  }

  private static func bytes(_ values: [Float]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

  /// Accepted, then cut short before its batch runs: it alone fails.
  @Test(arguments: [0, 4, 15]) func aRequestWhoseMemoryVanishesFailsAlone(left: Int) async throws {
    let fixture = try ServerFixture([
      "m": ServerFixture.identity("m", "dynamic_batching { preferred_batch_size: [3] max_queue_delay_microseconds: 60000000 }")
    ]) { $0.allowsClientSharedMemory = true }
    let object = try SharedObject(Self.bytes([5, 6, 7, 8]))
    try fixture.server.registerSharedMemory(SharedMemoryRegion(name: "r", key: object.key, offset: 0, byteSize: 16))
    var shared = ServerFixture.request("m", [0, 0, 0, 0])
    shared.inputs[0].data = .sharedMemory(SharedMemoryTarget(region: "r", byteSize: 16))
    async let first = fixture.infer("m", [1, 2, 3, 4])
    let model = fixture.server.manager.table.allReady[0]
    while model.queue.unansweredRequests < 1 { await Task.yield() }
    async let second = fixture.infer(shared)
    while model.queue.unansweredRequests < 2 { await Task.yield() }
    object.truncate(left)
    #expect(await fixture.infer("m", [9, 10, 11, 12]).values == [9, 10, 11, 12])
    #expect(await first.values == [1, 2, 3, 4])
    let problem = await second.problem
    #expect(problem?.message.contains("has become smaller") == true, "\(problem?.message ?? "answered")")
    #expect(model.counters.current.statistics.executionCount == 1, "all of them were one batch")
  }

  @Test func stringsComeFromSharedMemoryToo() async throws {
    let text = """
      name: "s" backend: "identity" max_batch_size: 4
      input [ { name: "x" data_type: TYPE_STRING dims: [2] } ] output [ { name: "y" data_type: TYPE_STRING dims: [2] } ]
      """
    let fixture = try ServerFixture(["s": text]) { $0.allowsClientSharedMemory = true }
    let strings: [UInt8] = [2, 0, 0, 0, 65, 66, 1, 0, 0, 0, 67]
    let object = try SharedObject([9] + strings)
    try fixture.server.registerSharedMemory(SharedMemoryRegion(name: "r", key: object.key, offset: 0, byteSize: 12))
    func request(_ offset: Int, _ count: Int) -> InferenceRequest {
      InferenceRequest(
        modelName: "s",
        inputs: [
          InferenceRequest.Input(
            name: "x", dataType: .string, shape: [1, 2],
            data: .sharedMemory(SharedMemoryTarget(region: "r", offset: offset, byteSize: count)))
        ], received: .zero, parsed: .zero)
    }
    let response = try await fixture.infer(request(1, 11)).get()
    #expect(response.outputs.first.map { Array($0.data.readableBytesView) } == strings)
    for (offset, count) in [(0, 12), (1, 10), (1, 6), (1, 12), (-1, 4), (0, Int.max), (Int.max, 1)] {
      #expect(await fixture.infer(request(offset, count)).problem?.status == .invalidArgument, "\(count) bytes from \(offset) on")
    }
  }

  /// Its requests were told that it failed: the clients may use the memory for other things by now.
  @Test func aBatchThatWasGivenUpWritesNothingAnyMore() async throws {
    let hang = ServerFixture.parameter("hang_batch", "1") + " " + ServerFixture.parameter("hang_ms", "300")
    let fixture = try ServerFixture(["late": ServerFixture.identity("late", hang)]) {
      $0.executionLimit = .milliseconds(50)
      $0.allowsClientSharedMemory = true
    }
    let object = try SharedObject(Array(repeating: 0xCD, count: 16))
    try fixture.server.registerSharedMemory(SharedMemoryRegion(name: "r", key: object.key, offset: 0, byteSize: 16))
    var request = ServerFixture.request("late", [1, 2, 3, 4])
    request.outputs = [InferenceRequest.Output(name: "y", sharedMemory: SharedMemoryTarget(region: "r", byteSize: 16))]
    #expect(await fixture.infer(request).problem?.message.contains("did not finish the batch") == true)
    // The thread that hung ends when it finds that nobody listens to it any more.
    while ProcessThreads.count(named: "late 0") > 1 { MonotonicClock.yield() }
    #expect(object.bytes == Array(repeating: 0xCD, count: 16))
    let values = fixture.server.manager.table.allReady[0].counters.current
    #expect(values.statistics.success.count == 0 && values.failures[.backend] == 1, "it is counted once")
  }
}

/// Threads of this process.
enum ProcessThreads {
  static func count(named name: String) -> Int {
    var count = 0
    for task in (try? Files.entries(of: "/proc/self/task")) ?? [] {
      let file = open("/proc/self/task/\(task)/comm", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { continue }
      defer { close(file) }
      var bytes = [UInt8](repeating: 0, count: 32)
      let length = read(file, &bytes, 32)
      if length > 0, String(decoding: bytes.prefix(length - 1), as: UTF8.self) == name { count += 1 }
    }
    return count
  }
}
