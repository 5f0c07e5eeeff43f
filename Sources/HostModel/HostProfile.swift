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
  /// What it describes: machine, driver, who launches.
  public var about: String
  /// How long copies take where that was measured by size; the rest follows from the entries (`copyMicroseconds`).
  public var copies: [CopyKind: CopyCurve]
  private var entries: [HostCost: Entry]

  /// A profile; a cost that is left out takes its usual value, marked assumed.
  public init(name: String, about: String, entries: [HostCost: Entry], copies: [CopyKind: CopyCurve] = [:]) {
    self.name = name
    self.about = about
    self.copies = copies
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
