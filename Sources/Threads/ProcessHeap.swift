import CLinux

/// The memory allocator's own store.
public enum ProcessHeap {
  /// Gives back to the system what was freed and lies unused in the allocator's arenas. Each thread allocates from one of several arenas, and
  /// what large objects leave there is kept for the next one in the same arena: without this a server that loads models again and again
  /// stays as large as several of them. Takes milliseconds, in which other threads may wait for memory.
  public static func trim() { _ = malloc_trim(0) }
}

/// Trims the heap when it is the last to go: to be an object's last stored property, after what takes the memory.
public final class HeapTrim: Sendable {
  /// See the type.
  public init() {}

  deinit { ProcessHeap.trim() }
}
