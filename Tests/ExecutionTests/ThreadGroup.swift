import Glibc
import Testing

/// Real threads, joined before a test ends: the cooperative pool must not be blocked by what is tested.
final class ThreadGroup {
  private final class Work {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  private var threads: [pthread_t] = []

  func start(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let work = Unmanaged.passRetained(Work(body)).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { @Sendable argument in
        if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, work)
    #expect(status == 0)
    if status == 0 { threads.append(thread) }
  }

  func wait() {
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }
}
