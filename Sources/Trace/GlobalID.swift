/// Nsight Systems packs hardware, machine, process and thread into one number: the low 24 bits are the thread, the next 24 the process.
public enum GlobalID {
  /// The thread `thread` of process `process`. Ids are cut to the 24 bits that exist for them.
  public static func thread(process: Int64, thread: Int64) -> Int64 { (process & 0xFF_FFFF) << 24 | (thread & 0xFF_FFFF) }
  /// The process `process`, as kernels name it.
  public static func process(_ process: Int64) -> Int64 { (process & 0xFF_FFFF) << 24 }
  /// The process a thread belongs to, in the form kernels name it; unknown stays unknown.
  @inlinable public static func process(ofThread thread: Int64) -> Int64 { thread == Trace.unknown ? thread : thread & ~0xFF_FFFF }
  /// The numeric process id of a thread or process.
  public static func processNumber(_ id: Int64) -> Int64 { (id >> 24) & 0xFF_FFFF }
  /// The numeric thread id of a thread.
  public static func threadNumber(_ id: Int64) -> Int64 { id & 0xFF_FFFF }
}
