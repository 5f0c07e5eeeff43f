/// A thread of the host, by what it called itself (ThreadNames).
public struct ThreadDescription: Sendable, Hashable {
  /// Global thread id (see `GlobalID`).
  public var thread: Int64
  /// Its name; the kernel keeps 15 bytes of it.
  public var name: NameID

  /// A thread.
  public init(thread: Int64, name: NameID) {
    self.thread = thread
    self.name = name
  }
}

/// A process of the host (PROCESSES).
public struct ProcessDescription: Sendable, Hashable {
  /// Global process id (see `GlobalID`).
  public var process: Int64
  /// What ran in it, mostly a path.
  public var name: NameID

  /// A process.
  public init(process: Int64, name: NameID) {
    self.process = process
    self.name = name
  }
}
