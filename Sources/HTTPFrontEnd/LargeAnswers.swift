import Dispatch
import NIOCore

/// Where answers are rendered that would hold up an event loop: 64 MB of floats are 300 MB of JSON and seconds of work, during which no other
/// connection of the loop gets an answer, health checks among them.
enum LargeAnswers {
  /// Bytes of tensors up to which an answer is rendered where it arrives: some milliseconds.
  static let threshold = 1 << 18

  /// One at a time: each is as much memory again as its tensors, or several times that.
  private static let queue = DispatchQueue(label: "headroom.large-answers")

  /// Renders away from the loop and answers on it.
  static func render(
    on loop: any EventLoop, _ make: @escaping @Sendable () -> HTTPAnswer, answer: @escaping @Sendable (HTTPAnswer) -> Void
  ) {
    queue.async {
      let made = make()
      loop.execute { answer(made) }
    }
  }
}
