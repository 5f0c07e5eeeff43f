import Diagnosis
import Explanation
import GPUModel
import Testing

/// Every rule at both sides of its line. A case edits a healthy run in which everything is known and nothing is wrong.
@Suite struct FindingRuleTests {
  enum Expected: Equatable {
    case found(Confidence)
    case clear
    case inconclusive
  }

  struct Case: CustomTestStringConvertible, Sendable {
    var code: FindingCode
    var name: String
    var expected: Expected
    var edit: @Sendable (inout RunEvidence) -> Void
    var testDescription: String { "\(code.rawValue) \(name)" }

    init(_ code: FindingCode, _ name: String, _ expected: Expected, _ edit: @escaping @Sendable (inout RunEvidence) -> Void) {
      self.code = code
      self.name = name
      self.expected = expected
      self.edit = edit
    }
  }

  @Test("what has no setting says where it is done", arguments: cases)
  func settings(_ example: Case) throws {
    var run = Runs.healthy
    example.edit(&run)
    let found = Findings(of: run, codes: [example.code]).found
    for fix in found.flatMap(\.observation.fixes) {
      for model in ["m.onnx", "linear"] {
        let text = fix.typed(on: .gpu, model: model)
        let isTyped = fix.changes.contains { $0.typed(on: .gpu, model: model) != nil }
        #expect(isTyped || fix.place.map { text.hasSuffix(" (\($0.text))") } ?? false, "\(text)")
      }
    }
  }

  static func m(_ value: Double, _ unit: Figure.Unit = .share) -> Figure { Runs.measured(value, unit) }

  static let cases: [Case] = [
    // HR101
    Case(.HR101, "a full generator that was watched", .found(.high)) { $0.client.coreShare = m(0.9) },
    Case(.HR101, "just below", .clear) { $0.client.coreShare = m(0.899) },
    Case(.HR101, "a full generator in our own system", .found(.medium)) { $0.client.coreShare = Runs.simulated(0.99) },
    Case(.HR101, "a full generator that was fitted", .found(.medium)) {
      $0.client.coreShare = Figure(0.99, .share, .fitted, source: "test")
    },
    Case(.HR101, "sends late, at work for most of its time", .found(.high)) {
      ($0.client.coreShare, $0.client.sendLagP99) = (m(0.85), m(16, .milliseconds))
    },
    Case(.HR101, "sends late by less than a tenth", .clear) {
      ($0.client.coreShare, $0.client.sendLagP99) = (m(0.85), m(15, .milliseconds))
    },
    Case(.HR101, "late in other units", .found(.high)) {
      ($0.client.coreShare, $0.client.sendLagP99) = (m(0.85), m(16_000, .microseconds))
    },
    Case(.HR101, "one thread of sixteen cores is full", .found(.high)) {
      ($0.client.coreShare, $0.client.busiestThreadShare, $0.client.cores) = (m(0.06), m(0.92), 16)
    },
    Case(.HR101, "a generator with room that sends on time, whatever passes outside the measured latency", .clear) {
      ($0.client.busiestThreadShare, $0.client.sendLagP99) = (m(0.79), m(0.99, .milliseconds))
      $0.load.meanThinkTime = m(10, .milliseconds)
    },
    Case(.HR101, "an open loop from 64 simulated cores, late by its own work per request", .clear) {
      $0.load.loop = .open(arrivalRate: m(1000, .requestsPerSecond))
      $0.load.medianLatency = m(3, .milliseconds)
      $0.client = ClientEvidence()
      ($0.client.cores, $0.client.coreShare, $0.client.sendLagP99) = (64, Runs.simulated(0.013), Runs.simulated(0.86, .milliseconds))
    },
    // HR104
    Case(.HR104, "late with nothing to do", .found(.high)) { $0.client.sendLagP99 = m(16, .milliseconds) },
    Case(.HR104, "late, at work for most of its time: that is HR101's", .clear) {
      ($0.client.busiestThreadShare, $0.client.sendLagP99) = (m(0.6), m(16, .milliseconds))
    },
    Case(.HR104, "late by less than a tenth of the latency", .clear) { $0.client.sendLagP99 = m(15, .milliseconds) },
    Case(.HR104, "late by less than a millisecond", .clear) {
      ($0.client.sendLagP99, $0.load.medianLatency) = (m(0.9, .milliseconds), m(1, .milliseconds))
    },
    Case(.HR104, "nobody watched the generator", .inconclusive) { $0.client = ClientEvidence() },
    // 200 users / 1000 per second = 200 ms a cycle; 150 ms on the watch, 50 ms outside.
    Case(.HR101, "more outside the measured latency than the users think", .found(.medium)) {
      $0.client = ClientEvidence()
      $0.load.meanThinkTime = m(40, .milliseconds)
    },
    Case(.HR101, "think time explains it", .clear) { $0.load.meanThinkTime = m(48, .milliseconds) },
    Case(.HR101, "outside grows between runs", .found(.medium)) {
      $0.client = ClientEvidence()
      $0.load.meanThinkTime = nil
      $0.client.otherRuns = [.init(users: 100, throughput: m(800, .requestsPerSecond), thinkAndClientQueueTime: m(35, .milliseconds))]
    },
    Case(.HR101, "outside grows with the users, though their think time is stated", .found(.medium)) {
      $0.client = ClientEvidence()
      $0.load.meanThinkTime = m(48, .milliseconds)
      $0.client.otherRuns = [.init(users: 100, throughput: m(800, .requestsPerSecond), thinkAndClientQueueTime: m(35, .milliseconds))]
    },
    Case(.HR101, "another run has more of it: that is the other's", .clear) {
      $0.load.meanThinkTime = m(48, .milliseconds)
      $0.client.otherRuns = [.init(users: 400, throughput: m(800, .requestsPerSecond), thinkAndClientQueueTime: m(90, .milliseconds))]
    },
    Case(.HR101, "steady between runs, but nothing else is known", .inconclusive) {
      $0.client = ClientEvidence()
      $0.load.meanThinkTime = nil
      $0.client.otherRuns = [.init(users: 200, throughput: m(800, .requestsPerSecond), thinkAndClientQueueTime: m(50, .milliseconds))]
    },
    Case(.HR101, "neither generator nor think time is known", .inconclusive) {
      $0.client = ClientEvidence()
      $0.load.meanThinkTime = nil
    },
    Case(.HR101, "on time, but its CPU unknown and think time too", .inconclusive) {
      $0.client.coreShare = nil
      $0.load.meanThinkTime = nil
    },
    // HR102
    Case(.HR102, "the load is what limits", .found(.high)) { $0.elasticities = Runs.elasticities([.thinkTime: 0.85, .kernels: 0.15]) },
    Case(.HR102, "the load limits only in part", .clear) { $0.elasticities = Runs.elasticities([.thinkTime: 0.78, .kernels: 0.22]) },
    Case(.HR102, "starved, in an open loop that is served", .found(.high)) { starve(&$0) },
    Case(.HR102, "starved, but not all is served", .clear) {
      starve(&$0)
      $0.load.throughput = m(900, .requestsPerSecond)
    },
    Case(.HR102, "starved because the generator is full", .clear) {
      starve(&$0)
      $0.client.coreShare = m(0.95)
    },
    Case(.HR102, "starved behind a full front end", .clear) {
      starve(&$0)
      $0.stages[.frontEnd] = StageLoad(.frontEnd, utilization: m(0.8))
    },
    Case(.HR102, "stalled, not starved", .clear) {
      starve(&$0)
      ($0.device.noRequestsIdle, $0.device.hostOverheadIdle) = (m(0.5), m(0.4))
    },
    Case(.HR102, "a queue waits", .clear) {
      starve(&$0)
      $0.batching.meanQueuedRequests = m(500, .count)
    },
    Case(.HR102, "starved in a closed loop whose upstream was watched", .found(.high)) {
      starve(&$0)
      $0.load.loop = .closed(users: 200)
    },
    Case(.HR102, "starved in a closed loop whose generator nobody saw", .inconclusive) {
      starve(&$0)
      $0.load.loop = .closed(users: 200)
      $0.client = ClientEvidence()
    },
    Case(.HR102, "kinds of idle unknown", .inconclusive) {
      $0.elasticities = nil
      $0.device.noRequestsIdle = nil
    },
    // HR103
    Case(.HR103, "ramp in the window", .found(.high)) {
      $0.steadiness = Steadiness(answersPerSlice: flat, rampShare: m(0.25), kind: .measured)
    },
    Case(.HR103, "ramp within tolerance", .clear) {
      $0.steadiness = Steadiness(answersPerSlice: flat, rampShare: m(0.05), kind: .measured)
    },
    Case(.HR103, "warm-up in the window", .found(.high)) {
      $0.steadiness = Steadiness(answersPerSlice: flat, warmUpShare: m(0.1), kind: .measured)
    },
    Case(.HR103, "drift", .found(.high)) { run in
      run.steadiness = Steadiness(answersPerSlice: (0..<20).map { 1000 + 10 * $0 }, kind: .measured)
    },
    Case(.HR103, "noise", .clear) { $0.steadiness = Steadiness(answersPerSlice: flat, kind: .measured) },
    Case(.HR103, "no slices", .inconclusive) { $0.steadiness = nil },
    // HR111
    Case(.HR111, "full front end", .found(.high)) { $0.frontEnd.coreShare = m(0.9) },
    Case(.HR111, "just below", .clear) { $0.frontEnd.coreShare = m(0.899) },
    Case(.HR111, "by its stage", .found(.high)) {
      $0.frontEnd = FrontEndEvidence()
      $0.stages[.frontEnd] = StageLoad(.frontEnd, utilization: m(0.95))
    },
    Case(.HR111, "full in a fitted system", .found(.medium)) { $0.frontEnd.coreShare = Figure(0.95, .share, .fitted, source: "test") },
    Case(.HR111, "unknown", .inconclusive) { $0.frontEnd = FrontEndEvidence() },
    // HR121
    Case(.HR121, "a third full, by delay", .found(.high)) {
      $0.batching.meanRows = m(20, .rows)
      $0.batching.dispatchReasons = [.delay: 600, .full: 400]
    },
    Case(.HR121, "half full", .clear) {
      $0.batching.meanRows = m(32, .rows)
      $0.batching.dispatchReasons = [.delay: 600, .full: 400]
    },
    Case(.HR121, "small, but by shape", .clear) {
      $0.batching.meanRows = m(20, .rows)
      $0.batching.dispatchReasons = [.delay: 400, .shapeMismatch: 600]
    },
    Case(.HR121, "one batch of a single request", .inconclusive) {
      $0.batching.meanRows = m(1, .rows)
      $0.batching.dispatchReasons = [.delay: 1]
    },
    Case(.HR121, "just enough batches", .found(.high)) {
      $0.batching.meanRows = m(20, .rows)
      $0.batching.dispatchReasons = [.delay: 60]
    },
    Case(.HR121, "no batching at all", .clear) {
      $0.batching.maximumRows = 1
      $0.batching.meanRows = m(1, .rows)
    },
    Case(.HR121, "every request a batch of its own", .found(.high)) {
      $0.batching.meanRows = m(1, .rows)
      $0.batching.dispatchReasons = [.unbatched: 1000]
    },
    Case(.HR121, "reasons unknown", .inconclusive) {
      $0.batching.meanRows = m(20, .rows)
      $0.batching.dispatchReasons = [:]
    },
    Case(.HR121, "sizes unknown", .inconclusive) { $0.batching.meanRows = nil },
    // HR123
    Case(.HR123, "never", .found(.high)) { $0.batching.dispatchReasons = [.wouldExceed: 1000] },
    Case(.HR123, "one in twenty", .found(.high)) { $0.batching.dispatchReasons = [.preferredSize: 50, .delay: 950] },
    Case(.HR123, "one in ten", .clear) { $0.batching.dispatchReasons = [.preferredSize: 100, .delay: 900] },
    Case(.HR123, "none preferred", .clear) {
      $0.batching.preferredSizes = []
      $0.batching.dispatchReasons = [.delay: 1000]
    },
    Case(.HR123, "only the largest size, as by default", .clear) {
      $0.batching.preferredSizes = [64]
      $0.batching.dispatchReasons = [.delay: 1000]
    },
    Case(.HR123, "too few batches", .inconclusive) { $0.batching.dispatchReasons = [.delay: 59] },
    Case(.HR123, "configuration unknown", .inconclusive) { $0.batching.preferredSizes = nil },
    // HR124
    Case(.HR124, "one in a thousand", .found(.high)) { $0.batching.rejections = [.queueFull: 60] },
    Case(.HR124, "fewer", .clear) { $0.batching.rejections = [.queueFull: 59] },
    Case(.HR124, "the users' own cancellations", .clear) { $0.batching.rejections = [.cancelled: 6000] },
    Case(.HR124, "by timeout", .found(.high)) { $0.batching.rejections = [.timeout: 600] },
    Case(.HR124, "unknown", .inconclusive) { $0.batching.rejections = nil },
    Case(.HR124, "out of how many", .inconclusive) {
      $0.batching.rejections = [.timeout: 600]
      $0.batching.offeredRequests = nil
    },
    // HR131
    Case(.HR131, "stalled at depth 1", .found(.high)) {
      $0.device.pipelineDepth = m(1, .count)
      $0.device.hostOverheadIdle = m(0.1)
    },
    Case(.HR131, "just below", .clear) {
      $0.device.pipelineDepth = m(1, .count)
      $0.device.hostOverheadIdle = m(0.099)
    },
    Case(.HR131, "stalled with two in flight", .clear) { $0.device.hostOverheadIdle = m(0.3) },
    Case(.HR131, "the loop is longer than the batch", .found(.high)) {
      $0.device.pipelineDepth = m(1, .count)
      $0.device.loopGap = m(650, .microseconds)
      $0.device.deviceTimePerBatch = m(0.124, .milliseconds)
    },
    Case(.HR131, "the loop is shorter than the batch", .clear) {
      $0.device.pipelineDepth = m(1, .count)
      $0.device.loopGap = m(650, .microseconds)
      $0.device.deviceTimePerBatch = m(0.7, .milliseconds)
    },
    Case(.HR131, "depth unknown", .inconclusive) { $0.device.pipelineDepth = nil },
    Case(.HR131, "gaps unknown", .inconclusive) {
      $0.device = DeviceEvidence()
      $0.device.pipelineDepth = m(1, .count)
    },
    // HR132
    Case(.HR132, "late and idle", .found(.high)) {
      $0.launches.lateShare = m(0.5)
      $0.launches.lateIdleShare = m(0.1)
    },
    Case(.HR132, "late but hardly idle", .clear) {
      $0.launches.lateShare = m(0.9)
      $0.launches.lateIdleShare = m(0.09)
    },
    Case(.HR132, "few are late", .clear) {
      $0.launches.lateShare = m(0.49)
      $0.launches.lateIdleShare = m(0.3)
    },
    Case(.HR132, "a launch costs most of a kernel, and the device is never idle", .clear) {
      $0.launches.launchTime = m(5, .microseconds)
      $0.launches.kernelTime = m(6.2, .microseconds)
    },
    Case(.HR132, "unknown", .inconclusive) { $0.launches.lateShare = nil },
    // HR133
    Case(.HR133, "a twentieth", .found(.high)) { $0.launches.queuedGapShare = m(0.05) },
    Case(.HR133, "less", .clear) { $0.launches.queuedGapShare = m(0.049) },
    Case(.HR133, "too long for dispatch", .clear) {
      $0.launches.queuedGapShare = m(0.4)
      $0.launches.queuedGap = m(50, .microseconds)
    },
    Case(.HR133, "unknown", .inconclusive) { $0.launches.queuedGap = nil },
    // HR141
    Case(.HR141, "pageable", .found(.high)) { $0.copies.pageableByteShare = m(0.1) },
    Case(.HR141, "a stray scalar", .clear) { $0.copies.pageableByteShare = m(0.01) },
    Case(.HR141, "one copy a request", .found(.high)) { $0.copies.uploadsPerBatch = m(60, .count) },
    Case(.HR141, "two copies a batch of sixty", .clear) { $0.copies.uploadsPerBatch = m(2, .count) },
    Case(.HR141, "one request a batch", .clear) {
      $0.batching.meanRequests = m(1, .count)
      $0.copies.uploadsPerBatch = m(1, .count)
    },
    Case(.HR141, "unknown", .inconclusive) { $0.copies = CopyEvidence() },
    // HR142
    Case(.HR142, "a twentieth of the wall", .found(.high)) { $0.copies.copyOnlyWhileWorkWaits = m(0.05) },
    Case(.HR142, "less", .clear) { $0.copies.copyOnlyWhileWorkWaits = m(0.049) },
    Case(.HR142, "copies nobody waits for", .clear) {
      $0.copies.nonOverlappedMemcpy = m(0.3)
      $0.copies.copyOnlyWhileWorkWaits = m(0)
    },
    Case(.HR142, "hardly any copies, waiting unknown", .clear) { $0.copies.copyOnlyWhileWorkWaits = nil },
    Case(.HR142, "many copies, waiting unknown", .inconclusive) {
      $0.copies.nonOverlappedMemcpy = m(0.3)
      $0.copies.copyOnlyWhileWorkWaits = nil
    },
    // HR201
    Case(.HR201, "a third filled", .found(.high)) { $0.kernels.residentSMShare = m(0.34) },
    Case(.HR201, "half filled", .clear) { $0.kernels.residentSMShare = m(0.5) },
    Case(.HR201, "unknown", .inconclusive) { $0.kernels.residentSMShare = nil },
    // HR202
    Case(.HR202, "streaming weights that L2 cannot hold", .found(.high)) { stream(&$0, weightBytes: 199e6) },
    Case(.HR202, "streaming weights that L2 may hold", .found(.medium)) { stream(&$0, weightBytes: 40e6) },
    Case(.HR202, "below the ridge, bandwidth idle", .clear) {
      stream(&$0, weightBytes: 199e6)
      $0.kernels.memoryBandwidthUtilization = m(0.6)
    },
    Case(.HR202, "above the ridge", .clear) {
      stream(&$0, weightBytes: 199e6)
      $0.kernels.intensity = m(281, .ratio)
    },
    Case(.HR202, "unknown", .inconclusive) { $0.kernels.ridge = nil },
    // HR203
    Case(.HR203, "a third of the time misaligned", .found(.high)) {
      $0.kernels.misalignedTimeShare = m(0.33)
      $0.kernels.paddedTimeScale = m(0.78)
    },
    Case(.HR203, "a projection to two classes", .clear) {
      $0.kernels.misalignedTimeShare = m(0.05)
      $0.kernels.paddedTimeScale = m(0.97)
    },
    Case(.HR203, "padding buys nothing", .clear) {
      $0.kernels.misalignedTimeShare = m(0.4)
      $0.kernels.paddedTimeScale = m(0.97)
    },
    Case(.HR203, "unknown", .inconclusive) { $0.kernels.misalignedTimeShare = nil },
    // HR205
    Case(.HR205, "one wave and a little", .found(.high)) {
      $0.kernels.slotEfficiency = m(0.53)
      $0.kernels.dominantWaves = m(1.06, .count)
    },
    Case(.HR205, "four fifths", .clear) { $0.kernels.slotEfficiency = m(0.8) },
    Case(.HR205, "in kernels that take no time", .clear) {
      $0.kernels.slotEfficiency = m(0.53)
      $0.kernels.multiWaveTimeShare = m(0.19)
    },
    Case(.HR205, "unknown", .inconclusive) { $0.kernels.multiWaveTimeShare = nil },
    // HR206
    Case(.HR206, "one and a half times L2", .found(.high)) { $0.kernels.weightBytes = m(199e6, .bytes) },
    Case(.HR206, "a third of L2", .clear) { $0.kernels.weightBytes = m(40e6, .bytes) },
    Case(.HR206, "most of a sheet's L2", .inconclusive) { $0.kernels.weightBytes = m(100e6, .bytes) },
    Case(.HR206, "most of a measured L2", .clear) {
      $0.kernels.weightBytes = m(100e6, .bytes)
      $0.kernels.l2IsCalibrated = true
    },
    Case(.HR206, "unknown", .inconclusive) { $0.kernels.l2Bytes = nil },
    // HR211
    Case(.HR211, "127 of 128", .found(.high)) { $0.kernels.redundantShare = m(127.0 / 128) },
    Case(.HR211, "a trifle", .clear) { $0.kernels.redundantShare = m(0.009) },
    Case(.HR211, "no graph", .inconclusive) { $0.kernels.redundantShare = nil },
  ]

  /// Slices of a steady window: 1,000 answers each, give or take 20.
  static let flat = [1003, 985, 1012, 990, 1008, 1001, 979, 1015, 998, 1006, 993, 1010]

  /// An open loop that leaves the device idle, with no elasticities to lean on.
  static func starve(_ run: inout RunEvidence) {
    run.elasticities = nil
    run.load.loop = .open(arrivalRate: m(1000, .requestsPerSecond))
    run.load.throughput = m(1000, .requestsPerSecond)
    (run.device.gpuBusy, run.device.noRequestsIdle, run.device.hostOverheadIdle) = (m(0.1), m(0.85), m(0.03))
    run.batching.meanQueuedRequests = m(0.5, .count)
    run.batching.meanRequests = m(2, .count)
  }

  static func stream(_ run: inout RunEvidence, weightBytes: Double) {
    run.kernels.intensity = m(170, .ratio)
    run.kernels.memoryBandwidthUtilization = m(0.72)
    run.kernels.weightBytes = m(weightBytes, .bytes)
  }

  @Test(arguments: cases) func bothSidesOfTheLine(_ one: Case) throws {
    var run = Runs.healthy
    one.edit(&run)
    let findings = Findings(of: run)
    let found = findings.found.first { $0.code == one.code }
    let undecided = findings.undecided.first { $0.code == one.code }
    switch one.expected {
    case .found(let confidence):
      let observation = try #require(found?.observation, "not found; undecided: \(String(describing: undecided))")
      #expect(observation.confidence == confidence)
      #expect(!observation.seen.isEmpty)
      #expect(observation.seen.contains { !$0.figures.isEmpty }, "a finding shows what it saw in figures")
      #expect(!observation.fixes.isEmpty)
      #expect(
        confidence == .high || observation.missing != nil || observation.seen.contains { $0.figures.contains { $0.kind != .measured } })
    case .clear:
      #expect(found == nil)
      #expect(undecided == nil)
    case .inconclusive:
      #expect(found == nil)
      let missing = try #require(undecided?.missing)
      #expect(!missing.quantities.isEmpty)
      #expect(!missing.cheapestMeasurement.isEmpty)
    }
  }

  /// More processes on the same cores would be kept from them too: the two are never claimed together.
  @Test(arguments: [(0.1, FindingCode.HR104, 0), (0.6, .HR101, 2)])
  func aLateGeneratorThatIdlesNeedsACore(share: Double, code: FindingCode, computableFixes: Int) throws {
    var run = Runs.healthy
    run.client.coreShare = Self.m(share)
    run.client.sendLagP99 = Self.m(16, .milliseconds)
    let found = Findings(of: run).found.filter { $0.code == .HR101 || $0.code == .HR104 }
    #expect(found.map(\.code) == [code])
    #expect(try #require(found.first).observation.fixes.count { !$0.changes.isEmpty } == computableFixes)
  }

  /// Without an estimator the evidence chooses: an idle device gains nothing by waiting, a full one by fuller batches.
  @Test(arguments: [(0.3, 0), (0.8, 2000)]) func dilutedBatchesAreAdvisedOneDirection(utilization: Double, delay: Int) throws {
    var run = Runs.healthy
    run.batching.meanRows = Self.m(20, .rows)
    run.batching.dispatchReasons = [.delay: 600, .full: 400]
    run.batching.instances = 1
    run.stages[.gpu] = StageLoad(.gpu, utilization: Self.m(utilization))
    let assessment = Assessment(of: run, codes: [.HR121], estimator: nil)
    #expect(assessment.ranked.flatMap(\.fixes).map(\.fix.changes) == [[.batchDelay(microseconds: delay)]])
  }

  @Test func onlyWhatWasAskedForIsLookedFor() {
    var run = Runs.healthy
    run.kernels.redundantShare = Self.m(0.99)
    run.client.coreShare = Self.m(0.99)
    #expect(Findings(of: run, codes: [.HR211]).found.map(\.code) == [.HR211])
    #expect(Assessment(of: run, codes: [.HR101], estimator: nil).ranked.map(\.finding.code) == [.HR101])
  }

  @Test func everyRuleHasCasesOfAllThreeKinds() {
    for code in FindingRegistry.codes {
      let own = Self.cases.filter { $0.code == code }
      #expect(own.contains { if case .found = $0.expected { true } else { false } }, "\(code)")
      #expect(own.contains { $0.expected == .clear }, "\(code)")
      #expect(own.contains { $0.expected == .inconclusive }, "\(code)")
    }
  }

  @Test func aHealthyRunHasNoFindingsAndNoDoubts() {
    let findings = Findings(of: Runs.healthy)
    #expect(findings.found.map(\.code) == [])
    #expect(findings.undecided.map(\.code) == [])
  }

  @Test func ofAnUnknownRunNothingIsClaimed() {
    let findings = Findings(of: RunEvidence())
    #expect(findings.found.isEmpty)
    #expect(findings.undecided.map(\.code) == FindingRegistry.codes)
  }

  @Test func whatRestsOnAFittedFigureIsAtMostLikely() throws {
    for kind in Figure.Kind.allCases {
      var run = Runs.healthy
      run.kernels.residentSMShare = Figure(0.3, .share, kind, source: "test")
      let finding = try #require(Findings(of: run).found.first { $0.code == .HR201 })
      #expect(finding.observation.confidence == (kind == .fitted || kind == .assumed ? .medium : .high))
    }
  }

  @Test func unattributedTimeCapsEveryFinding() throws {
    for (share, expected) in [(0.2, Confidence.high), (0.21, .medium)] {
      var run = Runs.healthy
      run.device.unattributed = Runs.measured(share)
      run.kernels.residentSMShare = Runs.measured(0.3)
      let finding = try #require(Findings(of: run).found.first { $0.code == .HR201 })
      #expect(finding.observation.confidence == expected)
    }
  }

  @Test func fiftyRowRequestsNeverMake128() throws {
    let finding = try #require(Findings(of: Runs.linear).found.first { $0.code == .HR123 })
    let text = finding.observation.seen.map(\.text).joined(separator: " ")
    #expect(text.contains("Requests of 50 rows cannot add up to any of them"))
    #expect(text.contains("would exceed max_batch_size"))
    #expect(finding.observation.fixes.map(\.changes) == [[.preferredSizes([])], [.preferredSizes([250])]])
  }

  @Test func theDocumentsFindings() {
    #expect(Findings(of: Runs.linear).found.map(\.code) == [.HR101, .HR123, .HR131, .HR201])
    #expect(Findings(of: Runs.stacked).found.map(\.code) == [.HR101, .HR123, .HR131, .HR202, .HR206])
    #expect(Findings(of: Runs.seqlen).found.map(\.code).contains(.HR211))
  }

  @Test func theLoopsCeilingIsComputedFromGapAndDeviceTime() throws {
    let finding = try #require(Findings(of: Runs.linear).found.first { $0.code == .HR131 })
    let ceiling = try #require(finding.observation.seen.flatMap(\.figures).first { $0.unit == .requestsPerSecond })
    // 4.70 requests / (0.65 + 0.124 ms)
    #expect((ceiling.value - 6072).magnitude < 1)
    #expect(ceiling.kind == .simulated)
  }
}
