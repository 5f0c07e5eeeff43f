/// What the host side of serving costs, entry by entry: value, unit, where it is from. The simulation knows no other host cost.
public struct HostProfile: Sendable, Hashable {
  /// Where an entry's value comes from.
  public enum Source: String, Sendable, Hashable, CaseIterable {
    /// Timed on the machine the profile is of.
    case measured
    /// Published by somebody who timed it.
    case literature
    /// Chosen so that a simulation meets observations.
    case fitted
    /// A usual value; nobody looked.
    case assumed
  }

  /// One value with its pedigree.
  public struct Entry: Sendable, Hashable {
    /// In the cost's unit.
    public var value: Double
    /// Where from.
    public var source: Source
    /// What it was measured on, fitted to, or read in.
    public var note: String

    /// An entry with every field stated.
    public init(_ value: Double, _ source: Source, _ note: String) {
      self.value = value
      self.source = source
      self.note = note
    }
  }

  /// Name, as given with `host:`.
  public var name: String
  /// What it describes.
  public var about: String
  private var entries: [HostCost: Entry]

  /// A profile; a cost that is left out takes its usual value, marked assumed.
  public init(name: String, about: String, entries: [HostCost: Entry]) {
    self.name = name
    self.about = about
    self.entries = entries
  }

  /// An entry.
  public subscript(cost: HostCost) -> Entry {
    get { entries[cost] ?? Entry(cost.usual, .assumed, "usual value") }
    set { entries[cost] = newValue }
  }

  /// The same profile with one value replaced; its source becomes `source`.
  public func with(_ cost: HostCost, _ value: Double, _ source: Source = .assumed, _ note: String = "set by hand") -> HostProfile {
    var copy = self
    copy[cost] = Entry(min(max(value, cost.range.lowerBound), cost.range.upperBound), source, note)
    return copy
  }
}

/// The entries of a host profile.
public enum HostCost: String, Sendable, Hashable, CaseIterable {
  /// Cores the load generator may use; one for a Python process.
  case clientCores
  /// Generator CPU time a request, all visits together.
  case clientPerRequest
  /// Generator CPU time a byte sent.
  case clientPerByte
  /// How often a request enters the generator's run queue.
  case clientVisits
  /// How many of those visits lie inside the generator's stopwatch.
  case clientVisitsInsideStopwatch
  /// One way, beside the transfer itself.
  case networkLatency
  /// Transfer time a byte.
  case networkPerByte
  /// Cores (threads) of the server's front end.
  case frontEndCores
  /// Front-end CPU time to receive and parse a request.
  case frontEndPerRequest
  /// Front-end CPU time a byte received.
  case frontEndPerByte
  /// Front-end CPU time to send a response.
  case responsePerRequest
  /// From a batch's forming to the start of its gathering: permit, batcher wake-up, payload set-up.
  case batchHandOver
  /// Putting a batch's inputs together, per batch.
  case gatherPerBatch
  /// Putting a batch's inputs together, per byte.
  case gatherPerByte
  /// A copy between host and device, whatever its size.
  case copyLatency
  /// Copying a byte from or to page-locked memory.
  case copyPerByte
  /// Copying a byte from or to pageable memory.
  case copyPerBytePageable
  /// Issuing thread's time for a launch call.
  case launch
  /// Issuing thread's time for launching a whole CUDA graph.
  case graphLaunch
  /// From the return of a launch call to the kernel's start on an idle device.
  case launchLatency
  /// From an event on the device to the waiting thread's running.
  case eventWakeUp
  /// Response thread's time a batch.
  case responsePerBatch

  /// What a value counts.
  public enum Unit: String, Sendable, Hashable {
    /// Whole number.
    case count
    /// Microseconds.
    case microseconds
    /// Nanoseconds a byte.
    case nanosecondsPerByte
  }

  /// What its value counts.
  public var unit: Unit {
    switch self {
    case .clientCores, .clientVisits, .clientVisitsInsideStopwatch, .frontEndCores: .count
    case .clientPerByte, .networkPerByte, .frontEndPerByte, .gatherPerByte, .copyPerByte, .copyPerBytePageable: .nanosecondsPerByte
    default: .microseconds
    }
  }

  /// Values outside are refused: they are slips of units, not hosts.
  public var range: ClosedRange<Double> {
    switch unit {
    case .count: self == .clientVisitsInsideStopwatch ? 0...64 : 1...4096
    case .microseconds: 0...10_000_000
    case .nanosecondsPerByte: 0...10_000
    }
  }

  /// A value of the usual size, for profiles that do not name the entry.
  public var usual: Double {
    switch self {
    case .clientCores: 1
    case .clientPerRequest: 50
    case .clientPerByte: 0
    case .clientVisits: 2
    case .clientVisitsInsideStopwatch: 2
    case .networkLatency: 30
    case .networkPerByte: 0.1
    case .frontEndCores: 8
    case .frontEndPerRequest: 40
    case .frontEndPerByte: 0.1
    case .responsePerRequest: 20
    case .batchHandOver: 20
    case .gatherPerBatch: 10
    case .gatherPerByte: 0.1
    case .copyLatency: 5
    case .copyPerByte: 0.02
    case .copyPerBytePageable: 0.15
    case .launch: 4.5
    case .graphLaunch: 10
    case .launchLatency: 3
    case .eventWakeUp: 20
    case .responsePerBatch: 20
    }
  }

  /// One sentence.
  public var explanation: String {
    switch self {
    case .clientCores: "cores the load generator may use"
    case .clientPerRequest: "generator CPU time a request, all visits together"
    case .clientPerByte: "generator CPU time a byte sent"
    case .clientVisits: "how often a request enters the generator's run queue"
    case .clientVisitsInsideStopwatch: "visits inside the generator's stopwatch"
    case .networkLatency: "network, one way, beside the transfer"
    case .networkPerByte: "network transfer time a byte"
    case .frontEndCores: "threads of the server's front end"
    case .frontEndPerRequest: "front-end time to receive and parse a request"
    case .frontEndPerByte: "front-end time a byte received"
    case .responsePerRequest: "front-end time to send a response"
    case .batchHandOver: "from a batch's forming to the start of its gathering"
    case .gatherPerBatch: "gathering, per batch"
    case .gatherPerByte: "gathering, per byte"
    case .copyLatency: "a copy between host and device, whatever its size"
    case .copyPerByte: "copying a byte, page-locked memory"
    case .copyPerBytePageable: "copying a byte, pageable memory"
    case .launch: "issuing thread's time for a launch call"
    case .graphLaunch: "issuing thread's time for a CUDA-graph launch"
    case .launchLatency: "from a launch call's return to the kernel's start on an idle device"
    case .eventWakeUp: "from a device event to the waiting thread's running"
    case .responsePerBatch: "response thread's time a batch"
    }
  }
}
