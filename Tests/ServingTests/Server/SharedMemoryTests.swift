import Foundation
import KServe
import NIOCore
import Testing
import Threads
import TimeBase

@testable import Serving

/// What clients register and unregister, and what requests make of it meanwhile.
@Suite struct SharedMemoryTests {
  /// An object of that many bytes, gone at the end.
  private final class Object: Sendable {
    let key = "/headroom-test-\(UUID().uuidString)"

    init(bytes: Int) throws {
      let descriptor = shm_open(key, O_RDWR | O_CREAT, 0o600)
      try #require(descriptor >= 0)
      #expect(ftruncate(descriptor, off_t(bytes)) == 0)
      close(descriptor)
    }

    deinit { shm_unlink(key) }
  }

  private func region(_ object: Object, offset: UInt64 = 0, bytes: UInt64 = 64) -> SharedMemoryRegion {
    SharedMemoryRegion(name: "r", key: object.key, offset: offset, byteSize: bytes)
  }

  @Test(arguments: [
    ("/", "invalid shm key '/'"), ("///", "invalid shm key '///'"), ("", "invalid shm key ''"),
    ("/triton_python_backend_shm_region_1", "as the key contains the reserved prefix 'triton_python_backend_shm_region_'"),
    ("//triton_python_backend_shm_region_", "as the key contains the reserved prefix"),
    ("/there-is-none-of-this-name", "Unable to open shared memory region: '/there-is-none-of-this-name'"),
  ])
  func keysThatCannotBe(key: String, reason: String) {
    let regions = SharedMemoryRegions(isAllowed: true)
    let error = #expect(throws: KServeError.self) {
      try regions.register(SharedMemoryRegion(name: "r", key: key, offset: 0, byteSize: 1))
    }
    #expect(error?.message.contains(reason) == true)
  }

  @Test(arguments: [(0, 65), (1, 64), (64, 1), (65, 0), (0, 0), (UInt64.max, 2)] as [(UInt64, UInt64)])
  func regionsOutsideOfTheObject(offset: UInt64, bytes: UInt64) throws {
    let object = try Object(bytes: 64)
    let error = #expect(throws: KServeError.self) {
      try SharedMemoryRegions(isAllowed: true).register(region(object, offset: offset, bytes: bytes))
    }
    #expect(error?.message.hasPrefix("failed to register shared memory region 'r': invalid args") == true)
  }

  @Test func neitherRegisteredNorUnregisteredWhereItIsNotAllowed() throws {
    let regions = SharedMemoryRegions(isAllowed: false)
    let object = try Object(bytes: 64)
    for call in [{ try regions.register(region(object)) }, { try regions.unregister("r") }, { try regions.unregister("") }] {
      let error = #expect(throws: KServeError.self) { try call() }
      #expect(error?.message == "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.")
    }
    #expect(try regions.status("").isEmpty)
  }

  @Test(
    arguments: [
      (64, 0, "Invalid offset for shared memory region: 'r'"), (-1, 1, "Invalid offset for shared memory region: 'r'"),
      (.max, 64, "Invalid offset for shared memory region: 'r'"), (32, .max, "Integer overflow detected: byte_size"),
      (1, 64, "Invalid offset + byte size for shared memory region: 'r'"), (0, -1, "Invalid offset + byte size"),
    ] as [(Int, Int, String)])
  func placesOutsideOfTheRegion(offset: Int, bytes: Int, reason: String) throws {
    let regions = SharedMemoryRegions(isAllowed: true)
    let object = try Object(bytes: 64)
    try regions.register(region(object))
    let error = #expect(throws: KServeError.self) {
      try regions.hold([SharedMemoryTarget(region: "r", offset: offset, byteSize: bytes)]).end()
    }
    #expect(error?.message.contains(reason) == true)
  }

  /// Two requests use it: it stays for both, and for a third that comes meanwhile, and goes with the last of them.
  @Test func unregisteringWaitsForTheRequestsThatUseIt() throws {
    let regions = SharedMemoryRegions(isAllowed: true)
    let object = try Object(bytes: 64)
    try regions.register(region(object))
    let place = SharedMemoryTarget(region: "r", byteSize: 64)
    let first = try regions.hold([place, place])
    let second = try regions.hold([place])
    try regions.unregister("")
    #expect(try regions.status("r").count == 1)
    first.end()
    first.end()
    let third = try regions.hold([place])
    second.end()
    #expect(try regions.status("r").count == 1)
    try [UInt8](repeating: 1, count: 64).withUnsafeBytes { try regions.write($0, to: place) }
    third.end()
    #expect(throws: KServeError.self) { try regions.status("r") }
    #expect(throws: KServeError.self) { try regions.hold([place]) }
  }

  /// Held again by nobody: a hold that is dropped without its end lets go too, and one for places that are wrong keeps nothing.
  @Test func holdsThatAreDroppedLetGo() throws {
    let regions = SharedMemoryRegions(isAllowed: true)
    let object = try Object(bytes: 64)
    try regions.register(region(object))
    let place = SharedMemoryTarget(region: "r", byteSize: 64)
    _ = try regions.hold([place])
    #expect(throws: KServeError.self) { try regions.hold([place, SharedMemoryTarget(region: "other", byteSize: 1)]) }
    try regions.unregister("r")
    #expect(try regions.status("").isEmpty)
  }

  /// Through the server: the region that a request writes into is unregistered while the model works, and is gone with the answer.
  @Test(.timeLimit(.minutes(1))) func aRequestKeepsItsRegion() async throws {
    let object = try Object(bytes: 64)
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", ServerFixture.parameter("execute_delay_ms", "200"))]) {
      $0.allowsClientSharedMemory = true
    }
    try fixture.server.registerSharedMemory(region(object))
    var request = ServerFixture.request("m", [1, 2, 3, 4])
    request.outputs = [InferenceRequest.Output(name: "y", sharedMemory: SharedMemoryTarget(region: "r", byteSize: 16))]
    let answer: ServerFixture.Answer = await completion { done in
      _ = fixture.server.infer(request, on: fixture.group.next()) { done($0) }
      // Accepted, and held, since `infer` has returned.
      try? fixture.server.unregisterSharedMemory("r")
    }
    #expect(answer.problem == nil)
    #expect(try fixture.server.sharedMemoryStatus("").isEmpty)
  }

  /// Strings come from there as from a body: counted, and refused where they are not what the shape says.
  @Test(
    arguments: [
      ("\u{2}\u{0}\u{0}\u{0}ab\u{0}\u{0}\u{0}\u{0}", nil),
      ("\u{1}\u{0}\u{0}\u{0}a", "expected 2 string elements for inference input 'x' for model 'm', got 1"),
      (
        "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
        "unexpected number of string elements 3 for inference input 'x' for model 'm', expecting 2"
      ),
      ("\u{9}\u{0}\u{0}\u{0}ab", "incomplete string data for inference input 'x' for model 'm'"),
    ] as [(String, String?)])
  func stringsAreTakenFromIt(content: String, reason: String?) async throws {
    let bytes = Array(content.utf8)
    let object = try Object(bytes: 64)
    let model = """
      name: "m" backend: "identity" max_batch_size: 4
      input [ { name: "x" data_type: TYPE_STRING dims: [2] } ] output [ { name: "y" data_type: TYPE_STRING dims: [2] } ]
      """
    let fixture = try ServerFixture(["m": model]) { $0.allowsClientSharedMemory = true }
    try fixture.server.registerSharedMemory(region(object))
    try bytes.withUnsafeBytes { try fixture.server.regions.write($0, to: SharedMemoryTarget(region: "r", offset: 3, byteSize: 60)) }
    let input = InferenceRequest.Input(
      name: "x", dataType: .string, shape: [1, 2], data: .sharedMemory(SharedMemoryTarget(region: "r", offset: 3, byteSize: bytes.count)))
    let answer = await fixture.infer(
      InferenceRequest(modelName: "m", inputs: [input], received: MonotonicClock.now, parsed: MonotonicClock.now))
    switch answer {
    case .success(let response): #expect(reason == nil && response.outputs.first?.data == ByteBuffer(bytes: bytes))
    case .failure(let error): #expect(error.message.contains(reason ?? "no error"), "\(error.message)")
    }
  }
}
