import NIOCore
public import NIOPosix
import Threads

/// The server's event loops.
public enum EventLoops {
  /// So many loops, which get a core at once from threads that compute; see `PromptThread`.
  public static func make(_ count: Int) -> MultiThreadedEventLoopGroup {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: count)
    for loop in group.makeIterator() { loop.execute { PromptThread.begin() } }
    return group
  }
}
