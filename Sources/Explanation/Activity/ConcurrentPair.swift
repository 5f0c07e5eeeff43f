import Threads

/// Two pieces of work beside each other: on a trace of gigabytes each takes about a second, and a machine that profiles has two cores.
enum ConcurrentPair {
  /// Fewer rows than this do not pay for a thread.
  static let minimumRows = 100_000

  /// Runs `first` on a thread of its own while the caller runs `second`; one after the other where `concurrently` is false or no thread is to be had.
  static func run<First: Sendable, Second>(
    concurrently: Bool, _ first: @escaping @Sendable () -> First, _ second: () -> Second
  ) -> (First, Second) {
    guard concurrently, let job = Job.start(first) else { return (first(), second()) }
    let other = second()
    return (job.result(), other)
  }

  private final class Job<Value: Sendable>: @unchecked Sendable {
    // Sendable: `value` is written once, under the monitor's lock, and read under it.
    private var value: Value?
    private let monitor = Monitor()

    static func start(_ body: @escaping @Sendable () -> Value) -> Job? {
      let job = Job()
      let isStarted = DetachedThread.start(named: "explain") {
        let value = body()
        job.monitor.withLock { job.value = value }
        job.monitor.broadcast()
      }
      return isStarted ? job : nil
    }

    func result() -> Value {
      monitor.lock()
      defer { monitor.unlock() }
      while true {
        if let value {
          self.value = nil
          return value
        }
        monitor.wait()
      }
    }
  }
}
