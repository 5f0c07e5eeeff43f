import CLinux

/// Threads that work for microseconds at an instant: timers, a load generator. They should get a core at once, from threads that compute.
///
/// Not for event loops: with a thousand connections ready they work for longer than a slice, and lost a tenth of their requests per second.
public enum ShortSliceThread {
  /// A tenth of a millisecond, the least that Linux takes.
  private static let sliceNanoseconds: UInt64 = 100_000

  /// Asks for short slices for the calling thread. Linux lets a thread with a shorter slice take the core from one in the middle of a longer
  /// one (`kernel/sched/features.h`, PREEMPT_SHORT, from 6.12 on); with equal slices it waits until that one ends, some milliseconds. Its
  /// share of the processor stays the same, and no privilege is needed. False where the system refused; older kernels take no notice.
  @discardableResult
  public static func begin() -> Bool { headroom_set_slice(sliceNanoseconds) == 0 }
}
