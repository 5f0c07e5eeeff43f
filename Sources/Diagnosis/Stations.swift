/// A place a request passes through, in the order it passes.
public enum Station: String, Sendable, Hashable, CaseIterable {
  case client
  case wire
  case frontEnd
  case batcher
  case gatherAndUpload
  case issuingThread
  case gpu
  case downloadAndResponse

  /// True for what lies between the user and the batcher's queue.
  public var isUpstreamOfQueue: Bool { self == .client || self == .wire || self == .frontEnd }
}

/// What one station does to a request and how much of itself it uses.
public struct StationLoad: Sendable, Hashable {
  /// Which.
  public var station: Station
  /// Service time that a request asks of it, milliseconds; waiting excluded.
  public var demand: Figure?
  /// Share of its own time it serves, 0...1.
  public var utilization: Figure?
  /// Requests per second it could pass by itself.
  public var capacity: Figure?

  /// What is known; nil for the rest.
  public init(_ station: Station, demand: Figure? = nil, utilization: Figure? = nil, capacity: Figure? = nil) {
    self.station = station
    self.demand = demand
    self.utilization = utilization
    self.capacity = capacity
  }

  /// The operational laws (Denning and Buzen 1978): U = X D / servers, capacity = servers / D. They hold for any arrival and
  /// service pattern, because they only count time.
  public static func derived(_ station: Station, demand: Figure, servers: Int, throughput: Figure) -> StationLoad {
    guard demand.value > 0, servers > 0 else { return StationLoad(station, demand: demand) }
    let servers = Double(servers)
    return StationLoad(
      station, demand: demand,
      utilization: .combined(
        throughput.value * demand.value / 1000 / servers, .share, [throughput, demand], source: "utilization law: X D / servers"),
      capacity: .combined(servers * 1000 / demand.value, .requestsPerSecond, [demand], source: "servers / demand"))
  }
}

/// The stations of one run, in passing order.
public struct Stations: Sendable, Hashable {
  /// One entry a station at most.
  public private(set) var loads: [StationLoad]

  /// The known stations; a later entry for the same station replaces an earlier one.
  public init(_ loads: [StationLoad] = []) {
    self.loads = Station.allCases.compactMap { station in loads.last { $0.station == station } }
  }

  /// A station's load; nil when nothing is known of it.
  public subscript(station: Station) -> StationLoad? {
    get { loads.first { $0.station == station } }
    set {
      var kept = loads.filter { $0.station != station }
      if let newValue { kept.append(newValue) }
      self = Stations(kept)
    }
  }

  /// The station that fills first when everything else is unlimited: the smallest known capacity.
  public var smallestCapacity: StationLoad? {
    loads.filter { $0.capacity != nil }.min { ($0.capacity?.value ?? .infinity) < ($1.capacity?.value ?? .infinity) }
  }

  /// The station that uses most of itself.
  public var busiest: StationLoad? {
    loads.filter { $0.utilization != nil }.max { ($0.utilization?.value ?? 0) < ($1.utilization?.value ?? 0) }
  }
}
