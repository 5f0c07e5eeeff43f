import CCUDA
import CCUDAKernels
import Glibc
import Synchronization
import Testing
import Threads

@testable import Execution

extension OnStandIn {
  /// The stand-in driver notices what a GPU would punish once a month: each kind of misuse is a complaint, and its correct twin is none.
  @Suite(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) struct StandInMisuseTests {
    /// A context current on this thread, and the driver's functions.
    private struct Bench {
      let standIn: StandIn
      let driver: CUDALibrary<HRDriverTable>
      var functions: HRDriverTable { driver.functions }
      private(set) var context: HRContext?

      init() throws {
        standIn = try #require(StandIn(leaves: true))
        driver = try .driver(standIn.search)
        try #require(driver.functions.cuDevicePrimaryCtxRetain(&context, 0) == 0)
        try #require(driver.functions.cuCtxSetCurrent(context) == 0)
      }

      func allocate(_ bytes: Int = 4096) throws -> UInt64 {
        var address: UInt64 = 0
        try #require(functions.cuMemAlloc_v2(&address, bytes) == 0)
        return address
      }

      func stream() throws -> HRStream {
        var stream: HRStream?
        try #require(functions.cuStreamCreate(&stream, UInt32(clamping: HR_STREAM_NON_BLOCKING)) == 0)
        return try #require(stream)
      }

      func event(_ flags: Int = HR_EVENT_DISABLE_TIMING) throws -> HREvent {
        var event: HREvent?
        try #require(functions.cuEventCreate(&event, UInt32(clamping: flags)) == 0)
        return try #require(event)
      }

      func function(_ name: String) throws -> (module: HRModule, function: HRFunction) {
        let cubin = try CUDACompiler(standIn.search).cubin(.elements, .float32, architecture: "90")
        var (module, function): (HRModule?, HRFunction?)
        try #require(functions.cuModuleLoadData(&module, cubin) == 0)
        try #require(functions.cuModuleGetFunction(&function, module, name) == 0)
        return (try #require(module), try #require(function))
      }

      /// Copies 16 numbers with a kernel of the project's own.
      func copy(
        _ function: HRFunction, from: UInt64, to: UInt64, grid: UInt32 = 1, block: UInt32 = 32, shared: UInt32 = 0, stream: HRStream?
      ) -> Int32 {
        var walk = HRWalk()
        (walk.rank, walk.count, walk.sizes.0, walk.a.0, walk.c.0) = (1, 16, 16, 1, 1)
        var (source, target) = (from, to)
        return withUnsafeMutablePointer(to: &walk) { walk in
          withUnsafeMutablePointer(to: &source) { source in
            withUnsafeMutablePointer(to: &target) { target in
              var parameters: [UnsafeMutableRawPointer?] = [.init(source), .init(target), .init(walk)]
              return functions.cuLaunchKernel(function, grid, 1, 1, block, 1, 1, shared, stream, &parameters, nil)
            }
          }
        }
      }

      func expectComplaint(_ text: String, _ location: SourceLocation = #_sourceLocation) {
        #expect(standIn.complaints.contains { $0.contains(text) }, "\(standIn.complaints)", sourceLocation: location)
      }
    }

    // MARK: - Memory

    @Test func useAfterFreeAndOutOfBounds() throws {
      let bench = try Bench()
      let (memory, other) = (try bench.allocate(), try bench.allocate())
      #expect(bench.functions.cuMemsetD8Async(memory, 0, 4096, nil) == 0)
      #expect(bench.functions.cuCtxSynchronize() == 0 && bench.standIn.complaints == [])
      #expect(bench.functions.cuMemsetD8Async(memory, 0, 4097, nil) != 0)
      bench.expectComplaint("4097 bytes")
      #expect(bench.functions.cuMemFree_v2(memory) == 0)
      #expect(bench.functions.cuMemcpyDtoDAsync_v2(other, memory, 16, nil) != 0)
      bench.expectComplaint("freed, or out of bounds")
    }

    @Test func aKernelThatIsGivenFreedMemoryLosesTheContext() throws {
      let bench = try Bench()
      let (memory, other) = (try bench.allocate(), try bench.allocate())
      let (_, function) = try bench.function("copy_4")
      #expect(bench.copy(function, from: memory, to: other, stream: nil) == 0)
      #expect(bench.functions.cuCtxSynchronize() == 0 && bench.standIn.complaints == [])
      _ = bench.functions.cuMemFree_v2(memory)
      _ = bench.copy(function, from: memory, to: other, stream: nil)
      #expect(bench.functions.cuCtxSynchronize() == HR_ERROR_ILLEGAL_ADDRESS)
      bench.expectComplaint("copy_4, parameter 0")
    }

    @Test func freeingTwiceAndWithTheWrongFunction() throws {
      let bench = try Bench()
      let memory = try bench.allocate()
      #expect(bench.functions.cuMemFree_v2(memory) == 0 && bench.standIn.complaints == [])
      #expect(bench.functions.cuMemFree_v2(memory) != 0)
      bench.expectComplaint("freed twice?")
      var pinned: UnsafeMutableRawPointer?
      try #require(bench.functions.cuMemAllocHost_v2(&pinned, 64) == 0)
      #expect(bench.functions.cuMemFree_v2(UInt64(UInt(bitPattern: pinned))) != 0)
      #expect(bench.functions.cuMemFreeHost(pinned) == 0)
    }

    @Test func pagesAreRegisteredOnceAndOutliveTheContext() throws {
      let bench = try Bench()
      var pages: UnsafeMutableRawPointer?
      try #require(posix_memalign(&pages, 4096, 8192) == 0)
      let memory = try #require(pages)
      #expect(bench.functions.cuMemHostRegister_v2(memory, 8192, 0) == 0 && bench.standIn.complaints == [])
      #expect(bench.functions.cuMemHostRegister_v2(memory + 4096, 4096, 0) != 0)
      bench.expectComplaint("pages that are registered or allocated already")
      // What was registered is not the driver's to free.
      #expect(bench.functions.cuMemFreeHost(memory) != 0)
      #expect(bench.functions.cuMemHostUnregister(memory) == 0 && bench.functions.cuMemHostUnregister(memory) != 0)
      bench.expectComplaint("freed twice?")
      #expect(bench.functions.cuMemHostRegister_v2(memory, 8192, 0) == 0)
      #expect(bench.functions.cuDevicePrimaryCtxReset_v2(0) == 0)
      memory.storeBytes(of: 7, as: UInt8.self)
      free(memory)
    }

    @Test func leaksAreCountedUntilTheyAreGivenBack() throws {
      let bench = try Bench()
      #expect(bench.standIn.liveCount == 0, "\(bench.standIn.live)")
      let (memory, stream, event) = (try bench.allocate(), try bench.stream(), try bench.event())
      #expect(bench.standIn.liveCount == 3 && bench.standIn.live.contains("1 allocations"), "\(bench.standIn.live)")
      _ = bench.functions.cuMemFree_v2(memory)
      _ = bench.functions.cuStreamDestroy_v2(stream)
      _ = bench.functions.cuEventDestroy_v2(event)
      #expect(bench.standIn.liveCount == 0, "\(bench.standIn.live)")
    }

    // MARK: - Contexts and handles

    @Test func aThreadWithoutAContextIsRefused() throws {
      let bench = try Bench()
      #expect(bench.functions.cuCtxSetCurrent(nil) == 0)
      var address: UInt64 = 0
      #expect(bench.functions.cuMemAlloc_v2(&address, 64) == HR_ERROR_INVALID_CONTEXT)
      bench.expectComplaint("no context is current on this thread")
    }

    @Test func handlesOfADestroyedContext() throws {
      let bench = try Bench()
      let (stream, event) = (try bench.stream(), try bench.event())
      #expect(bench.functions.cuDevicePrimaryCtxReset_v2(0) == 0)
      // The context that this thread still has as its own is gone.
      #expect(bench.functions.cuStreamSynchronize(stream) == HR_ERROR_CONTEXT_IS_DESTROYED)
      bench.expectComplaint("the context that is current on this thread was destroyed")
      var context: HRContext?
      _ = bench.functions.cuDevicePrimaryCtxRetain(&context, 0)
      _ = bench.functions.cuCtxSetCurrent(context)
      #expect(bench.functions.cuStreamSynchronize(stream) != 0 && bench.functions.cuEventQuery(event) != 0)
      bench.expectComplaint("the stream belongs to a context that was destroyed")
      bench.expectComplaint("the event belongs to a context that was destroyed")
      _ = bench.functions.cuDevicePrimaryCtxRelease_v2(0)
    }

    @Test func handlesAfterTheirEnd() throws {
      let bench = try Bench()
      let (stream, event) = (try bench.stream(), try bench.event())
      let (module, function) = try bench.function("copy_4")
      let memory = try bench.allocate()
      _ = bench.functions.cuStreamDestroy_v2(stream)
      _ = bench.functions.cuEventDestroy_v2(event)
      _ = bench.functions.cuModuleUnload(module)
      #expect(bench.functions.cuStreamSynchronize(stream) != 0 && bench.functions.cuEventRecord(event, nil) != 0)
      #expect(bench.copy(function, from: memory, to: memory, stream: nil) != 0)
      bench.expectComplaint("the stream was destroyed")
      bench.expectComplaint("the event was destroyed")
      bench.expectComplaint("its module was unloaded")
    }

    @Test func anEventWithoutATime() throws {
      let bench = try Bench()
      let (first, second) = (try bench.event(), try bench.event(HR_EVENT_DEFAULT))
      for event in [first, second] { _ = bench.functions.cuEventRecord(event, nil) }
      _ = bench.functions.cuCtxSynchronize()
      var milliseconds: Float = 0
      #expect(bench.functions.cuEventElapsedTime(&milliseconds, first, second) != 0)
      bench.expectComplaint("an event without a time")
    }

    // MARK: - Order

    @Test func streamsThatNothingOrders() throws {
      let bench = try Bench()
      let (memory, first, second) = (try bench.allocate(), try bench.stream(), try bench.stream())
      #expect(bench.functions.cuMemsetD8Async(memory, 1, 4096, first) == 0)
      #expect(bench.functions.cuMemsetD8Async(memory, 2, 4096, second) == 0)
      bench.expectComplaint("nothing orders the two")
    }

    @Test func streamsThatAnEventOrders() throws {
      let bench = try Bench()
      let (memory, first, second) = (try bench.allocate(), try bench.stream(), try bench.stream())
      let event = try bench.event()
      #expect(bench.functions.cuMemsetD8Async(memory, 1, 4096, first) == 0)
      #expect(bench.functions.cuEventRecord(event, first) == 0 && bench.functions.cuStreamWaitEvent(second, event, 0) == 0)
      #expect(bench.functions.cuMemsetD8Async(memory, 2, 4096, second) == 0)
      #expect(bench.functions.cuStreamSynchronize(second) == 0 && bench.standIn.complaints == [], "\(bench.standIn.complaints)")
    }

    @Test func readersAndAWriterBehindThem() throws {
      let bench = try Bench()
      let (memory, other, first, second) = (try bench.allocate(), try bench.allocate(), try bench.stream(), try bench.stream())
      _ = bench.functions.cuMemsetD8Async(memory, 1, 4096, first)
      _ = bench.functions.cuStreamSynchronize(first)
      #expect(bench.functions.cuMemcpyDtoDAsync_v2(other, memory, 4096, first) == 0 && bench.standIn.complaints == [])
      // Written while somebody reads it.
      #expect(bench.functions.cuMemsetD8Async(memory, 2, 4096, second) == 0)
      bench.expectComplaint("writes memory that stream")
    }

    @Test func whatNobodyWaitedForIsNotThereYet() throws {
      let bench = try Bench()
      let (memory, stream) = (try bench.allocate(), try bench.stream())
      var pinned: UnsafeMutableRawPointer?
      try #require(bench.functions.cuMemAllocHost_v2(&pinned, 4096) == 0)
      let bytes = try #require(pinned)
      bytes.storeBytes(of: 0x55, as: UInt8.self)
      _ = bench.functions.cuMemsetD8Async(memory, 7, 4096, stream)
      _ = bench.functions.cuMemcpyDtoHAsync_v2(bytes, memory, 4096, stream)
      #expect(bytes.load(as: UInt8.self) == 0x55)
      _ = bench.functions.cuStreamSynchronize(stream)
      #expect(bytes.load(as: UInt8.self) == 7 && bench.standIn.complaints == [])
      _ = bench.functions.cuMemFreeHost(bytes)
    }

    @Test func waitingWhileAStreamCapturesSpoilsTheGraph() throws {
      let bench = try Bench()
      let stream = try bench.stream()
      #expect(bench.functions.cuStreamBeginCapture_v2(stream, Int32(clamping: HR_CAPTURE_THREAD_LOCAL)) == 0)
      #expect(bench.functions.cuCtxSynchronize() == HR_ERROR_STREAM_CAPTURE_UNSUPPORTED)
      var graph: HRGraph?
      #expect(bench.functions.cuStreamEndCapture(stream, &graph) == HR_ERROR_STREAM_CAPTURE_INVALIDATED && graph == nil)
      bench.expectComplaint("while a stream captures")
    }

    /// A capture of one thread's is none of another's business, as CUDA's documentation of cuStreamCaptureMode has it; a global one is (mode 0).
    @Test(arguments: [(Int32(0), true), (1, false)])
    func anotherThreadMayAllocateWhileAThreadCapturesForItself(mode: Int32, spoils: Bool) throws {
      let bench = try Bench()
      let stream = try bench.stream()
      #expect(bench.functions.cuStreamBeginCapture_v2(stream, mode) == 0)
      let monitor = Monitor()
      let other = Mutex<Int32?>(nil)
      let functions = bench.functions
      // Unsafe because it is a pointer: the thread only hands it to the driver, which takes calls of any thread, and has ended before the bench goes.
      nonisolated(unsafe) let context = bench.context
      let started = DetachedThread.start(named: "allocates") {
        var address: UInt64 = 0
        var result = functions.cuCtxSetCurrent(context)
        if result == 0 { result = functions.cuMemAlloc_v2(&address, 4096) }
        monitor.withLock { other.withLock { $0 = result } }
        monitor.signal()
      }
      try #require(started)
      monitor.lock()
      while other.withLock({ $0 == nil }) { monitor.wait() }
      monitor.unlock()
      var graph: HRGraph?
      let ended = bench.functions.cuStreamEndCapture(stream, &graph)
      #expect(other.withLock { $0 } == (spoils ? Int32(clamping: HR_ERROR_STREAM_CAPTURE_UNSUPPORTED) : 0))
      #expect(ended == (spoils ? Int32(clamping: HR_ERROR_STREAM_CAPTURE_INVALIDATED) : 0))
      #expect(bench.standIn.complaints.isEmpty == !spoils, "\(bench.standIn.complaints)")
    }

    // MARK: - Launches

    @Test(arguments: [
      (0 as UInt32, 32 as UInt32, 0 as UInt32, "a grid of 0"), (1, 2048, 0, "2048 threads"), (1, 32, 49_153, "49153 bytes"),
    ])
    func launchesOutOfLimits(grid: UInt32, block: UInt32, shared: UInt32, complaint: String) throws {
      let bench = try Bench()
      let memory = try bench.allocate()
      let (_, function) = try bench.function("copy_4")
      #expect(bench.copy(function, from: memory, to: memory, stream: nil) == 0 && bench.standIn.complaints == [])
      #expect(bench.copy(function, from: memory, to: memory, grid: grid, block: block, shared: shared, stream: nil) != 0)
      bench.expectComplaint(complaint)
    }
  }
}
