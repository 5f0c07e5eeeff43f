import Testing
import TimeBase
import Trace

@Suite struct TraceTests {
  @Test func tablesGiveBackWhatWasAppended() {
    let (kernel, stream, name) = (KernelID(rawValue: 3), StreamID(rawValue: 2), NameID(rawValue: 5))
    func check<Table: TraceTable>(_ type: Table.Type, _ rows: [Table.Element]) where Table.Element: Equatable {
      var table = Table()
      table.reserveCapacity(rows.count)
      for row in rows { table.append(row) }
      #expect(Array(table) == rows, "\(Table.self)")
      #expect(table.count == rows.count && table.startIndex == 0 && table.endIndex == rows.count)
    }
    // Every field differs from every other, so that two that were swapped show.
    check(
      KernelTable.self,
      [
        KernelEvent(start: 1, end: 2, description: kernel, stream: stream, correlation: 4, graphNode: 5),
        KernelEvent(start: 6, end: 7, description: KernelID(rawValue: 0), stream: StreamID(rawValue: 0)),
      ])
    check(
      CopyTable.self,
      [
        CopyEvent(
          start: 1, end: 2, stream: stream, correlation: 3, bytes: 4, direction: 5, sourceKind: 6, destinationKind: 7, graphNode: 8)
      ])
    check(
      MemsetTable.self,
      [MemsetEvent(start: 1, end: 2, stream: stream, correlation: 3, bytes: 4, value: 5, memoryKind: 6, graphNode: 7)])
    check(SynchronizationTable.self, [SynchronizationEvent(start: 1, end: 2, stream: stream, correlation: 3, type: 4, event: 5)])
    check(APICallTable.self, [APICall(start: 1, end: 2, thread: 3, correlation: 4, name: name, eventClass: 6, returnValue: 7)])
    check(OSCallTable.self, [OSCall(start: 1, end: 2, thread: 3, name: name, eventClass: 4, returnValue: 6)])
    check(RangeTable.self, [RangeEvent(start: 1, end: 2, thread: 3, text: name, type: 4, domain: 6, category: 7)])
    check(
      BatchTable.self,
      [
        BatchEvent(
          id: 1, model: name, instance: 2, rows: 3, requests: 4, reason: NameID(rawValue: 6), formed: 7, gatherStart: 8, computeStart: 9,
          computeEnd: 10, outputEnd: 11)
      ])
    check(
      RequestTable.self,
      [
        RequestEvent(
          id: 1, batch: 2, model: name, rows: 3, bytesIn: 4, bytesOut: 6, received: 7, parsed: 8, enqueued: 9, responseStart: 10,
          responseEnd: 11, status: .timedOut)
      ])
    check(ClientRequestTable.self, [ClientRequestEvent(id: 1, intended: 2, sent: 3, firstByte: 4, done: 5, status: .failed)])
    check(LaunchTable.self, [LaunchEvent(correlation: 1, batch: 2, step: 3)])
    check(CounterTable.self, [CounterSample(time: 1, counter: name, device: 2, value: 3.5)])
    check(DiagnosticTable.self, [DiagnosticEvent(time: 1, severity: 2, text: name)])
  }

  @Test func namesAreInternedByTheirBytes() {
    var names = NameTable()
    let first = names.intern("a")
    #expect(names.intern("a") == first)
    #expect(names.count == 1)
    // One letter with its accent, and a letter followed by an accent: equal for Swift, different bytes.
    let (composed, decomposed) = (names.intern("\u{E9}"), names.intern("e\u{301}"))
    #expect(composed != decomposed)
    #expect(names[composed].map { Array($0.utf8) } == [0xC3, 0xA9])
    #expect(names[decomposed].map { Array($0.utf8) } == [0x65, 0xCC, 0x81])
    #expect(names.id(of: "e\u{301}") == decomposed)
    #expect(names.id(of: "b") == nil)
    #expect(names[.unknown] == nil)
    #expect(names[NameID(rawValue: 3)] == nil)
    let empty = names.intern("")
    #expect(names[empty] == "")
  }

  @Test func kernelsAndStreamsAreInternedOnce() {
    var trace = Trace()
    let name = trace.names.intern("k")
    let small = KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (32, 1, 1))
    var large = small
    large.gridX = 2
    let ids = [trace.intern(small), trace.intern(large), trace.intern(small)]
    #expect(ids.map(\.rawValue) == [0, 1, 0])
    #expect(trace.kernelDescriptions == [small, large])
    #expect(trace[ids[1]] == large)
    let stream = trace.intern(StreamDescription(process: 1, device: 0, stream: 7))
    #expect(trace.intern(StreamDescription(process: 2, device: 0, stream: 7)) != stream)
    #expect(trace.intern(StreamDescription(process: 1, device: 0, stream: 7)) == stream)
    #expect(trace.streams.count == 2)
  }

  @Test func productsOfDimensionsDoNotOverflow() {
    let name = NameID.unknown
    func kernel(_ grid: (Int32, Int32, Int32), _ block: (Int32, Int32, Int32)) -> KernelDescription {
      KernelDescription(demangledName: name, shortName: name, grid: grid, block: block)
    }
    #expect(kernel((3, 4, 5), (6, 7, 1)).blockCount == 60)
    #expect(kernel((3, 4, 5), (6, 7, 1)).threadsPerBlock == 42)
    #expect(kernel((.max, .max, .max), (0, 1, 1)).blockCount == nil)
    #expect(kernel((.max, .max, .max), (0, 1, 1)).threadsPerBlock == nil)
    #expect(kernel((.max, .max, 1), (.min, 1, 1)).blockCount == Int64(Int32.max) * Int64(Int32.max))
    #expect(kernel((-1, -1, 1), (1, 1, 1)).blockCount == nil)
  }

  @Test func globalIDsTakeApartWhatTheyPutTogether() {
    let thread = GlobalID.thread(process: 4711, thread: 4712)
    #expect(thread == 4711 * 0x1000000 + 4712)
    #expect(GlobalID.processNumber(thread) == 4711)
    #expect(GlobalID.threadNumber(thread) == 4712)
    #expect(GlobalID.process(ofThread: thread) == GlobalID.process(4711))
    #expect(GlobalID.process(ofThread: Trace.unknown) == Trace.unknown)
    #expect(GlobalID.thread(process: -1, thread: -1) == 0xFFFF_FFFF_FFFF)
    // As a real export has it: hardware and machine in the upper bits.
    let real: Int64 = 0x0101_0000_0000_0000 + thread
    #expect(GlobalID.processNumber(real) == 4711 && GlobalID.threadNumber(real) == 4712)
  }

  @Test func unknownIsNoValue() {
    #expect(Trace.known(Trace.unknown) == nil && Trace.known(Trace.unknown32) == nil)
    #expect(Trace.known(Int64(-1)) == -1 && Trace.known(Int32(0)) == 0)
  }

  @Suite struct DeviceMapping {
    /// Nsight's numbers and CUDA's ordinals are swapped, as on a real machine with two cards.
    static func swapped() -> Trace {
      var trace = Trace()
      trace.gpus = [GPUDescription(id: 0, cudaDevice: 1, name: "one"), GPUDescription(id: 1, cudaDevice: 0, name: "zero")]
      return trace
    }

    @Test func anOrdinalIsNotAnIdNorAnIndex() {
      let trace = Self.swapped()
      #expect(trace.gpu(of: StreamDescription(process: 0, device: 0, stream: 7))?.name == "zero")
      #expect(trace.gpu(of: StreamDescription(process: 0, device: 1, stream: 7))?.name == "one")
      #expect(trace.gpu(of: StreamDescription(process: 0, device: 2, stream: 7)) == nil)
    }

    @Test func aProcessMayNumberDevicesItsOwnWay() {
      var trace = Self.swapped()
      // CUDA_VISIBLE_DEVICES=1 in process 20: its device 0 is the card that others call 1.
      trace.cudaDevices = [CUDADeviceMapping(gpu: 1, cudaDevice: 0, process: 10), CUDADeviceMapping(gpu: 0, cudaDevice: 0, process: 20)]
      func name(_ process: Int64) -> String? {
        trace.gpu(of: StreamDescription(process: GlobalID.process(process), device: 0, stream: 7))?.name
      }
      #expect(name(10) == "zero")
      #expect(name(20) == "one")
      #expect(name(30) == "zero", "no mapping of its own: by the card's ordinal")
      #expect(trace.gpu(of: StreamDescription(process: Trace.unknown, device: 0, stream: 7))?.name == "zero")
    }

    @Test func aMappingOfEveryProcessHoldsForAll() {
      var trace = Self.swapped()
      trace.cudaDevices = [CUDADeviceMapping(gpu: 0, cudaDevice: 0)]
      #expect(trace.gpu(of: StreamDescription(process: GlobalID.process(5), device: 0, stream: 7))?.name == "one")
    }

    @Test func aMappingToAMissingCardIsNoCard() {
      var trace = Self.swapped()
      trace.cudaDevices = [CUDADeviceMapping(gpu: 9, cudaDevice: 0)]
      #expect(trace.gpu(of: StreamDescription(process: 0, device: 0, stream: 7)) == nil)
      #expect(Trace().gpu(of: StreamDescription(process: 0, device: 0, stream: 7)) == nil)
    }
  }

  @Test func aRecorderFillsEveryTableItNames() {
    var recorder = TraceRecorder(kernels: 1, apiCalls: 1, osCalls: 1, requests: 1, batches: 1)
    recorder.setRun(simulated: true)
    recorder.add(GPUDescription(id: 0, cudaDevice: 0, name: "H200 SXM"), simulated: true)
    recorder.add(GPUDescription(id: 1, cudaDevice: 1, name: "CPU: EPYC"), simulated: false)
    let name = recorder.name("gemm")
    let kernel = recorder.kernel(KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (1, 1, 1)))
    let stream = recorder.stream(StreamDescription(process: 0, device: 0, stream: 7))
    let (start, end) = (Instant(nanoseconds: 5), Instant(nanoseconds: 9))
    recorder.recordKernel(kernel, on: stream, from: start, to: end, correlation: 1)
    recorder.recordAPICall(name, thread: 2, from: start, to: end, correlation: 1)
    recorder.recordOSCall(name, thread: 2, from: start, to: end)
    recorder.recordLaunch(correlation: 1, batch: 3, step: 4)
    recorder.recordCopy(bytes: 10, direction: 1, on: stream, from: start, to: end)
    let trace = recorder.trace
    #expect(trace.run["kind"] == "simulated")
    #expect(trace.gpus.map(\.name) == ["H200 SXM (simulated by headroom)", "CPU: EPYC"])
    #expect(trace.diagnostics.count == 1)
    #expect(trace.rowCount == 6)
    #expect(trace.kernels.first == KernelEvent(start: 5, end: 9, description: kernel, stream: stream, correlation: 1))
    #expect(trace.launches.first == LaunchEvent(correlation: 1, batch: 3, step: 4))
  }

  @Test func whatIsReadOfTheRunIsWhatWasWritten() {
    var trace = Trace()
    #expect(trace.measurementWindow == nil && trace.overwrittenRequests == nil)
    trace.measurementWindow = 5..<9
    trace.overwrittenRequests = 3
    #expect(trace.measurementWindow == 5..<9 && trace.overwrittenRequests == 3)
    // Stored traces have these keys.
    #expect(trace.run == ["windowStartNanoseconds": "5", "windowEndNanoseconds": "9", "overwrittenRequests": "3"])
    // Files may hold anything.
    for end in ["5", "4", "", "9e99"] {
      trace.run["windowEndNanoseconds"] = end
      #expect(trace.measurementWindow == nil, "to \(end)")
    }
  }
}
