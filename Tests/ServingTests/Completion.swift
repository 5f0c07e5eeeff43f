import Threads

/// Waits for what `start` calls its completion with, on whichever thread.
///
/// The value passes through a lock of pthread: ThreadSanitizer sees who wrote it before whom. The hand-over of a continuation that is resumed
/// before it is awaited lies in the Swift runtime alone, which no sanitizer has instrumented.
func completion<Value: Sendable>(_ start: (@escaping @Sendable (Value) -> Void) -> Void) async -> Value {
  let box = CompletionBox<Value>()
  await withCheckedContinuation { continuation in
    start { value in
      box.put(value)
      continuation.resume()
    }
  }
  return box.take()
}

/// `@unchecked Sendable`: the value is used under the monitor's lock.
private final class CompletionBox<Value: Sendable>: @unchecked Sendable {
  private let monitor = Monitor()
  private var values: [Value] = []

  func put(_ value: Value) {
    monitor.withLock { values.append(value) }
  }

  func take() -> Value { monitor.withLock { values[0] } }
}
