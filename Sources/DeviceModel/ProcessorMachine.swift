import CheckedNumbers
public import TimeBase

/// A processor as a pure machine: batches share its cores with each other and with the host's own work.
///
/// Batches that are active at the same time get equal parts, as a pool of threads that takes turns between them gives. The host's work
/// (clients, event loops) goes first where it runs on the same cores: it wakes up, works for microseconds and sleeps again, and the
/// kernel's scheduler prefers such threads to those that compute. Cores that no computing thread needs take it for nothing.
public struct ProcessorMachine: Sendable {
  struct Active: Sendable {
    var tag: Int32
    /// Alone and undisturbed, nanoseconds.
    var left: Double
  }

  private let threads: Double
  private let spareCores: Double
  private let isShared: Bool
  private var active: [Active] = []
  private var now: Int64 = 0
  /// Core time the host took since `now`, nanoseconds.
  private var taken = 0.0
  /// Time with at least one batch, nanoseconds, over all so far.
  public private(set) var busyNanoseconds: Int64 = 0

  /// An idle processor.
  ///
  /// - Parameters:
  ///   - threads: that compute a batch.
  ///   - cores: that they share with the host's work; 0 where the host has cores of its own.
  public init(threads: Int, cores: Int) {
    self.threads = Double(max(1, threads))
    spareCores = Double(max(0, cores - threads))
    isShared = cores > 0
  }

  /// Whether no batch is active.
  public var isIdle: Bool { active.isEmpty }

  /// A batch begins. Call `advance` to this instant first.
  public mutating func start(_ tag: Int32, lasting: Double) { active.append(Active(tag: tag, left: max(1, lasting))) }

  /// The host has worked so long on one core, up to an instant at or before the next `advance`.
  public mutating func hostWorked(nanoseconds: Double) { if isShared { taken += nanoseconds } }

  /// Lets time pass; the batches that ended, in order of their starts.
  public mutating func advance(to instant: Instant) -> [Int32] {
    let passed = Double(max(0, instant.nanoseconds - now))
    now = max(now, instant.nanoseconds)
    // All threads of a batch wait for its slowest: what one core loses is spread over them by the pool's shared queue of tasks.
    let lost = max(0, taken - spareCores * passed) / threads
    taken = 0
    if active.isEmpty { return [] }
    busyNanoseconds += Int64(saturating: passed)
    let progress = max(0, passed - lost) / Double(active.count)
    // More was taken than there was: the rest is taken from what follows.
    taken = max(0, lost - passed) * threads
    for index in active.indices { active[index].left -= progress }
    let ended = active.filter { $0.left <= 0.5 }.map(\.tag)
    if !ended.isEmpty { active.removeAll { $0.left <= 0.5 } }
    return ended
  }

  /// When the next batch ends if the host does nothing; nil while none is active.
  public var nextEnd: Instant? {
    guard let minimum = active.map(\.left).min() else { return nil }
    return Instant(nanoseconds: now) + TimeSpan(nanoseconds: max(1, Int64(saturating: (minimum * Double(active.count)).rounded(.up))))
  }
}
