import Capture
import CheckedNumbers
import Glibc
import Testing
import TimeBase
import Trace
@testable import TraceFormats

/// The injection library in a program of its own, from the driver's call to a trace. The driver and CUPTI are stand-ins: what is shown here is
/// that records arrive, join and are counted, not what a GPU's driver does.
@Suite(.enabled(if: getenv("HEADROOM_SANITIZED") == nil)) struct CUDARecordingTests {
  // MARK: - What is recorded

  @Test func kernelsCopiesFillsAndCallsAreThereOnOneClock() throws {
    let run = try CUDARun(["straight", "5"])
    #expect(run.status == 0 && run.capture.remarks.isEmpty, "\(run.remarks)")
    let trace = run.trace
    #expect(trace.kernels.count == 5 && trace.copies.count == 2 && trace.memsets.count == 1)
    for kernel in trace.kernels {
      let description = trace[kernel.description]
      #expect(trace.names[description.demangledName] == "copy_4" && trace.names[description.shortName] == "copy_4")
      #expect(description.blockCount == 64 && description.threadsPerBlock == 256 && description.registersPerThread == 64)
      #expect(trace[kernel.stream].process == GlobalID.process(run.outcome.process))
      // CLOCK_MONOTONIC: the clock of the OS calls, and CUPTI's own choice is another.
      #expect(kernel.start > run.outcome.started.nanoseconds && kernel.end < run.outcome.ended.nanoseconds && kernel.end > kernel.start)
    }
    #expect(trace.copies.map(\.direction) == [1, 2] && trace.copies.allSatisfy { $0.bytes == 262_144 })
    // Pageable to device, device to pageable.
    #expect(trace.copies.map(\.sourceKind) == [0, 2] && trace.copies.map(\.destinationKind) == [2, 0])
    #expect(trace.memsets.first.map { $0.bytes } == 262_144 && trace.memsets.first.map { $0.value } == 1)
    #expect(trace.synchronizations.map(\.type) == [3])
    #expect(trace.overheads.count == 1 && trace.overheads.allSatisfy { !$0.isProfilers })
    let gpu = try #require(trace.gpus.first)
    #expect(gpu.name == "stand-in GPU" && gpu.smCount == 8 && gpu.computeMajor == 9 && gpu.threadsPerWarp == 32)
    #expect(gpu.clockRate == 1_000_000_000 && gpu.memoryBandwidth == 1_000_000_000 && trace.gpus.count == 1)
    #expect(run.capture.ordinals == ["GPU-7374616e-642d-696e-2047-505520303030": 0])
    #expect(trace.captureStart >= run.outcome.started.nanoseconds && trace.captureEnd == run.outcome.recordingEnded.nanoseconds)
  }

  /// The runtime's calls are recorded as the driver's are, under their own names; copies join with them; what asks is not recorded.
  @Test func callsOfTheRuntimeAreRecorded() throws {
    let run = try CUDARun(["runtime", "3"])
    #expect(run.status == 0 && run.capture.remarks.isEmpty, "\(run.remarks)")
    let names = Dictionary(grouping: run.trace.apiCalls.compactMap { run.trace.names[$0.name] }, by: { $0 }).mapValues(\.count)
    #expect(names["cudaMemcpyAsync_v3020"] == 6 && names["cudaStreamSynchronize_v3020"] == 3 && names["cudaMalloc_v3020"] == 1)
    #expect(names["cudaGetLastError_v3020"] == nil)
    let copies = Set(run.trace.copies.map(\.correlation))
    #expect(copies.count == 6 && copies == Set(run.calls("cudaMemcpyAsync_v3020").map(\.correlation)))
    // The driver's call within has the same number, and lies within it.
    let outer = Dictionary(run.calls("cudaMemcpyAsync_v3020").map { ($0.correlation, $0) }, uniquingKeysWith: { first, _ in first })
    let inner = run.calls("cuMemcpyHtoDAsync_v2").compactMap { call in outer[call.correlation].map { ($0, call) } }
    #expect(inner.count == 3 && inner.allSatisfy { $0.0.start <= $0.1.start && $0.1.end <= $0.0.end })
    let all = try CUDARun(["runtime", "3"]) { $0.calls = .all }
    #expect(all.calls("cudaGetLastError_v3020").count == 3)
  }

  /// A number of records that was changed is noticed too: it says what is lost.
  @Test func theNumberOfABlocksRecordsIsChecked() throws {
    let run = try CUDARun(["straight", "3"])
    var file = run.file
    file[4096 + 8] ^= 1
    let (capture, error) = Self.read(file)
    func records(_ trace: Trace) -> Int { trace.kernels.count + trace.copies.count + trace.apiCalls.count + trace.synchronizations.count }
    #expect(error == nil && capture.damage.count == 1 && records(capture.trace) < records(run.trace))
  }

  @Test func deviceWorkJoinsWithItsCallAndTheCallWithItsThread() throws {
    let run = try CUDARun(["straight", "4"])
    let trace = run.trace
    let index = CorrelationIndex(trace)
    let launches = run.calls("cuLaunchKernel")
    #expect(launches.count == 4 && Set(launches.map(\.correlation)).count == 4)
    for kernel in trace.kernels {
      let row = try #require(index.apiCall(process: trace[kernel.stream].process, correlation: kernel.correlation))
      let call = trace.apiCalls[row]
      #expect(trace.names[call.name] == "cuLaunchKernel" && call.start <= kernel.start && call.returnValue == 0 && call.eventClass == 1)
      // The system's number of the thread, and not pthread's.
      #expect(call.thread == GlobalID.thread(process: run.outcome.process, thread: run.outcome.process))
    }
    // A wait ends after what it waits for.
    let wait = try #require(run.calls("cuStreamSynchronize").first)
    #expect(trace.kernels.allSatisfy { $0.end <= wait.end })
  }

  @Test func kernelsOfTwoStreamsOverlapAndWouldNotWhereTheyAreSerialized() throws {
    let run = try CUDARun(["streams", "4"])
    #expect(run.trace.kernels.count == 8 && run.overlaps > 0)
    let serialized = try CUDARun(["streams", "4"], faults: "serialize=1")
    #expect(serialized.trace.kernels.count == 8 && serialized.overlaps == 0)
  }

  @Test func nodesOfAGraphCarryItsLaunchAndEventsTheirStream() throws {
    let run = try CUDARun(["graph", "4"])
    let trace = run.trace
    #expect(trace.kernels.count == 12 && trace.graphExecutions.isEmpty)
    let launches = Set(run.calls("cuGraphLaunch").map(\.correlation))
    #expect(launches.count == 4 && Set(trace.kernels.map(\.correlation)) == launches)
    #expect(Set(trace.kernels.map(\.graphNode)).count == 3 && !trace.kernels.graphNode.contains(Trace.unknown))
    #expect(trace.eventRecords.count == 1)
    #expect(Set(trace.synchronizations.map(\.type)) == [1, 2, 3])
    let whole = try CUDARun(["graph", "4"]) { $0.recordsWholeGraphs = true }
    #expect(whole.trace.kernels.isEmpty && whole.trace.graphExecutions.count == 4)
  }

  @Test func callsAreThoseAskedFor() throws {
    let listed = try CUDARun(["straight", "2"])
    #expect(listed.calls("cuDeviceGetAttribute").isEmpty && listed.calls("cuMemAlloc_v2").count == 2)
    let all = try CUDARun(["straight", "2"]) { $0.calls = .all }
    #expect(all.calls("cuDeviceGetAttribute").count == 2)
    let none = try CUDARun(["straight", "2"]) { $0.calls = .none }
    #expect(none.trace.apiCalls.isEmpty && none.trace.synchronizations.isEmpty && none.trace.kernels.count == 2)
  }

  @Test func rangesThatTheProgramAnnotatesHoldTheirLaunches() throws {
    let run = try CUDARun(["straight", "4"])
    let ranges = Array(run.trace.ranges)
    #expect(ranges.map { run.trace.names[$0.text] } == ["step 0", "step 1", "step 2", "step 3"])
    // Start and end, as they may lie on two threads.
    #expect(ranges.allSatisfy { $0.type == 60 && $0.thread == GlobalID.thread(process: run.outcome.process, thread: run.outcome.process) })
    let launches = run.calls("cuLaunchKernel").sorted { $0.start < $1.start }
    #expect(zip(ranges, launches).allSatisfy { $0.start <= $1.start && $1.end <= $0.end })
  }

  @Test func osCallsOfTheSameThreadsStandInTheSameTrace() throws {
    let run = try CUDARun(["straight", "3", "5"], withOSCalls: true)
    let trace = run.trace
    let sleeps = trace.osCalls.filter { trace.names[$0.name] == "nanosleep" }
    #expect(sleeps.count == 3 && trace.kernels.count == 3)
    // Sleep, launch, sleep, launch: one thread and one clock.
    let launches = run.calls("cuLaunchKernel").sorted { $0.start < $1.start }
    #expect(zip(launches, sleeps).allSatisfy { $0.end <= $1.start && $0.thread == $1.thread })
  }

  // MARK: - When

  @Test func recordingBeginsAfterTheDelayAndEndsWithTheDuration() throws {
    let run = try CUDARun(["straight", "1000", "20"], limit: .milliseconds(500), delay: .milliseconds(300))
    #expect(run.outcome.wasEnded)
    let armed = try #require(run.outcome.armed).nanoseconds
    #expect(armed - run.outcome.started.nanoseconds >= 300_000_000)
    #expect(run.trace.kernels.count > 0 && run.trace.kernels.allSatisfy { $0.start >= armed })
    #expect(run.trace.kernels.count < 1000 && run.capture.files.map(\.status) == [.finished])
    #expect(run.remarks.contains("graphs made before"), "\(run.remarks)")
  }

  @Test func aProgramThatEndsBeforeTheDelayIsNotRecordedAndRunsAsItWould() throws {
    let run = try CUDARun(["straight", "2"], delay: .milliseconds(60_000))
    #expect(run.status == 0 && run.trace.kernels.isEmpty && run.outcome.armed == nil)
    #expect(run.capture.files.map(\.armed) == [nil])
  }

  // MARK: - Forks and crashes

  @Test func aKilledProgramLeavesWhatWasFlushed() throws {
    let run = try CUDARun(["kill", "8", "60"])
    #expect(run.outcome.ending == .killed(SIGKILL))
    // Eight launches in half a second, flushed every 150 ms.
    #expect((2...8).contains(run.trace.kernels.count))
    #expect(run.capture.files.map(\.status) == [.recording] && run.capture.damage.isEmpty)
    #expect(run.remarks.contains("did not end its recording"), "\(run.remarks)")
  }

  @Test func parentAndChildThatEachStartCUDAHaveTheirOwnFiles() throws {
    let run = try CUDARun(["fork-first", "3"])
    #expect(run.status == 0 && run.capture.files.count == 2)
    let processes = Set(run.trace.kernels.map { run.trace[$0.stream].process })
    #expect(run.trace.kernels.count == 6 && processes.count == 2)
    // Both count from one: a correlation means something within its process alone.
    #expect(run.capture.badTimes.count == 0)
    #expect(run.trace.gpus.count == 1 && run.trace.cudaDevices.count == 2)
  }

  @Test func aChildOfAParentThatOnlyAnnotatesItselfHasItsOwnFile() throws {
    let run = try CUDARun(["fork-annotated", "3"])
    #expect(run.status == 0 && run.capture.files.count == 2 && run.trace.kernels.count == 3, "\(run.remarks)")
    let texts = run.trace.ranges.map { run.trace.names[$0.text] }
    #expect(texts.contains("parent") && texts.contains("step 2") && texts.count == 4)
    #expect(run.capture.files.map(\.status) == [.finished, .finished])
  }

  @Test func aChildForkedFromARecordedProgramRunsToItsEndAndTheParentGoesOn() throws {
    let run = try CUDARun(["fork-after", "3"])
    #expect(run.status == 0 && run.capture.files.count == 1 && run.trace.kernels.count == 6)
  }

  // MARK: - What goes wrong is said

  @Test func recordsThatCUPTIDropsAreCounted() throws {
    let run = try CUDARun(["straight", "6"], faults: "drop=7")
    #expect(run.capture.droppedRecords == 7 && run.trace.run["cudaDroppedRecords"] == "7")
    #expect(run.remarks.contains("CUPTI dropped 7 records"), "\(run.remarks)")
  }

  @Test func buffersThatComeLateAreNotLost() throws {
    let run = try CUDARun(["straight", "8", "60"], faults: "late=2")
    #expect(run.trace.kernels.count == 8 && run.capture.remarks.isEmpty, "\(run.remarks)")
  }

  @Test func aConflictIsSaidAndTheProgramAndItsOSCallsGoOn() throws {
    let run = try CUDARun(["straight", "3", "5"], faults: "held=1", withOSCalls: true)
    #expect(run.status == 0 && run.trace.kernels.isEmpty && run.trace.osCalls.count > 0)
    let file = try #require(run.capture.files.first)
    #expect(file.status == .failed && file.step == "cuptiSubscribe" && file.result == 39)
    #expect(run.remarks.contains("holds CUPTI") && run.remarks.contains("end the other one"), "\(run.remarks)")
  }

  @Test func anotherToolThatTakesCUPTIOverIsNoticed() throws {
    let run = try CUDARun(["straight", "20", "10"], faults: "takeover=30")
    let file = try #require(run.capture.files.first)
    #expect(run.status == 0 && file.lostBuffers == 1 && run.trace.kernels.count < 20)
    #expect(run.remarks.contains("taken over"), "\(run.remarks)")
  }

  @Test func timesThatCannotBeAreLeftOutAndCountedByKind() throws {
    let run = try CUDARun(["straight", "6"], faults: "zero=1,reverse=1,early=1")
    #expect(run.trace.kernels.count == 3)
    let bad = run.capture.badTimes
    #expect(bad.withoutStart == 1 && bad.reversed == 1 && bad.beforeLaunch == 1 && bad.outside == 0)
    #expect(run.trace.run["cudaBadTimes"] == "3" && run.remarks.contains("3 kernels, copies or fills"), "\(run.remarks)")
  }

  /// Two hundred thousand records in buffers of which every third comes late, one in a thousand with a time that cannot be: all that is wrong is found,
  /// and nothing else.
  @Test func manyRecordsAreKeptAndEachBadTimeAmongThemIsFound() throws {
    let run = try CUDARun(["small", "2000"], faults: "repeat=100,every=1000,zero=30,reverse=40,early=50,late=3") { $0.calls = .none }
    let bad = run.capture.badTimes
    let discarded = run.capture.files.reduce(0) { $0 + Int($1.discardedBuffers) }
    #expect(run.trace.kernels.count + bad.count == 200_000 || discarded > 0, "\(run.remarks)")
    // Without calls nothing says when a kernel was launched: its stream's order does.
    if discarded == 0 { #expect(bad.withoutStart == 30 && bad.reversed == 40 && bad.acrossOthers == 50 && bad.beforeLaunch == 0, "\(bad)") }
    #expect(zip(run.trace.kernels.start, run.trace.kernels.end).allSatisfy { $0 > 0 && $0 <= $1 })
  }

  /// [start, end] of kernels of one stream, and the rows that cannot be.
  private typealias Order = (times: [[Int64]], wrong: Set<Int>)
  private static let orders: [Order] = {
    var orders: [Order] = []
    func add(_ times: [[Int64]], wrong: Set<Int> = []) { orders.append((times, wrong)) }
    // One after the other; begun early by its predecessor, as a dependent launch is; at once, and empty.
    add([[10, 20], [20, 30], [30, 40]])
    add([[10, 20], [15, 30], [25, 40]])
    add([[10, 20], [10, 20], [20, 20]])
    // The first began a long time too early, or ended too late: two others tell. Of a pair nobody knows which.
    add([[1, 50], [10, 20], [30, 40]], wrong: [0])
    add([[10, 90], [20, 30], [30, 40], [95, 99]], wrong: [0])
    add([[10, 40], [20, 30]], wrong: [0, 1])
    // Both too early.
    add([[1, 50], [2, 60], [10, 20], [30, 40], [52, 54]], wrong: [0, 1])
    return orders
  }()

  @Test(arguments: orders.indices) func theOrderOfAStreamIsKept(index: Int) {
    let (times, wrong) = Self.orders[index]
    var kernels = KernelTable()
    for pair in times {
      kernels.append(KernelEvent(start: pair[0], end: pair[1], description: KernelID(rawValue: 0), stream: StreamID(rawValue: 0)))
    }
    #expect(StreamOrder.rowsAcrossOthers(kernels) == wrong)
    // Nodes of a graph may run beside each other.
    var nodes = KernelTable()
    for pair in times {
      nodes.append(
        KernelEvent(start: pair[0], end: pair[1], description: KernelID(rawValue: 0), stream: StreamID(rawValue: 0), graphNode: 7))
    }
    #expect(StreamOrder.rowsAcrossOthers(nodes).isEmpty)
  }

  @Test func recordsWithoutRoomAreCounted() throws {
    let run = try CUDARun(["straight", "5"]) { $0.limitBytes = 100 }
    let file = try #require(run.capture.files.first)
    #expect(run.status == 0 && run.trace.kernels.isEmpty && file.droppedForRoom >= 5)
    #expect(run.remarks.contains("--cuda-limit-megabytes"))
  }

  @Test func aLibraryThatIsNotThereIsNamedWithWhatBringsIt() throws {
    let run = try CUDARun(["straight", "2"]) { $0.libraries = ["/nonexistent/libcupti.so.12"] }
    #expect(run.status == 0 && run.capture.files.map(\.status) == [.failed])
    #expect(run.remarks.contains("nvidia-cuda-cupti"), "\(run.remarks)")
  }

  @Test func aProgramWithoutCUDALeavesNothing() throws {
    let run = try CUDARun(["none"])
    #expect(run.status == 0 && run.capture.files.isEmpty && run.trace.rowCount == 0)
  }

  @Test func theDriversOnePlaceMayBeTaken() {
    #expect(CUDARecording.holder(in: ["PATH=/bin", "CUDA_INJECTION64_PATH=/opt/nsys/libToolsInjection64.so"]) != nil)
    #expect(CUDARecording.holder(in: ["PATH=/bin", "CUDA_INJECTION64_PATH="]) == nil)
  }

  // MARK: - Damaged files

  /// What a file gives, and why it gives nothing.
  private static func read(_ bytes: some Collection<UInt8>) -> (capture: CUDACapture, error: CUDACaptureFileError?) {
    var capture = CUDACapture(end: .max)
    var error: CUDACaptureFileError?
    Array(bytes).withUnsafeBytes { raw in
      do throws(CUDACaptureFileError) { try capture.add(raw) } catch let failure { error = failure }
    }
    capture.finish()
    return (capture, error)
  }

  @Test func aFileCutShortAnywhereGivesWhatIsWhole() throws {
    let file = try CUDARun(["straight", "3"]).file
    #expect(file.count > 4200)
    for length in stride(from: 0, through: file.count, by: 7) {
      let (capture, error) = Self.read(file.prefix(length))
      #expect((error == nil) == (length >= 4096))
      // Blocks are whole or not there.
      #expect(capture.trace.kernels.count == 0 || capture.trace.kernels.count == 3)
    }
    #expect(Self.read(file).capture.trace.kernels.count == 3)
  }

  @Test func aDamagedBlockIsNotedByItsChecksum() throws {
    let file = try CUDARun(["straight", "3"]).file
    // Payloads of all blocks: their sizes stand in the second word of their heads.
    var (at, payload): (Int, [Int]) = (4096, [])
    while at + 16 <= file.count {
      let size = (0..<4).reduce(0) { $0 | Int(file[at + 4 + $1]) << (8 * $1) }
      payload += (at + 16)..<(at + 16 + size)
      at += 16 + size
    }
    #expect(at == file.count && payload.count > 200)
    for place in stride(from: 0, to: payload.count, by: 11) {
      var damaged = file
      damaged[payload[place]] ^= 0x41
      let (capture, error) = Self.read(damaged)
      #expect(error == nil && !capture.damage.isEmpty)
    }
  }

  @Test func whateverABlockClaimsNothingTraps() throws {
    let file = try CUDARun(["straight", "3"]).file
    var generator = SplitMix64(seed: 11)
    for _ in 0..<400 {
      // A block of noise whose checksum is right; half of it tags and small numbers.
      let payload = (0..<64).map { _ in
        generator.next() % 2 == 0 ? UInt8(truncatingIfNeeded: generator.next() % 14) : UInt8(truncatingIfNeeded: generator.next())
      }
      // The number of records, 9, counts first.
      let checksum = ([9, 0, 0, 0] + payload).reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
      var bytes = Array(file.prefix(4096))
      for word in [0x4255_4343, 64, 9, checksum] as [UInt32] { withUnsafeBytes(of: word.littleEndian) { bytes += $0 } }
      bytes += payload
      let (capture, error) = Self.read(bytes)
      #expect(error == nil && capture.trace.rowCount < 64)
    }
  }
}
