import Glibc

/// Threads of our own: blocking work never runs on an event loop or on the cooperative pool.
public enum DetachedThread {
  /// Starts a detached thread. False where the system has none left. `hasShortSlice`: see `ShortSliceThread`.
  @discardableResult
  public static func start(named name: String, hasShortSlice: Bool = false, _ body: @escaping @Sendable () -> Void) -> Bool {
    let start = Unmanaged.passRetained(ThreadStart(name: name, hasShortSlice: hasShortSlice, body: body)).toOpaque()
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, runDetachedThread, start)
    if status == 0 {
      pthread_detach(thread)
    } else {
      Unmanaged<ThreadStart>.fromOpaque(start).release()
    }
    return status == 0
  }
}

private final class ThreadStart: Sendable {
  let name: String
  let hasShortSlice: Bool
  let body: @Sendable () -> Void

  init(name: String, hasShortSlice: Bool, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.hasShortSlice = hasShortSlice
    self.body = body
  }

  /// What `top -H` and traces call this thread. Through /proc: Glibc's module has no pthread_setname_np. The kernel keeps 15 bytes.
  func nameThread() {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = Array(name.utf8.prefix(15)).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    close(file)
  }
}

/// At file scope: a closure would belong to an actor and trap on a foreign thread.
private func runDetachedThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let argument else { return nil }
  let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
  start.nameThread()
  if start.hasShortSlice { ShortSliceThread.begin() }
  start.body()
  return nil
}
