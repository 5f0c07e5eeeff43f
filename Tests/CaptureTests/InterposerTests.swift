import Capture
import Glibc
import Testing
import TimeBase
import Trace
import TraceFormats

/// The interposer on programs whose calls are known. Durations have a lower bound alone: a busy machine makes every wait longer.
// The probe is a C program: instrumented, its calls are the sanitizer's.
@Suite(.enabled(if: getenv("HEADROOM_SANITIZED") == nil)) struct InterposerTests {
  @Test(arguments: [
    ("condition", "pthread_cond_timedwait"), ("semaphore", "sem_timedwait"), ("epoll", "epoll_wait"), ("futex", "syscall(SYS_futex)"),
    ("sleep", "nanosleep"),
  ])
  func waitsAreCountedAndTimed(mode: String, name: String) throws {
    let recording = try Recording([mode, "12", "5"])
    #expect(recording.status == 0)
    // A condition may wake up for no reason.
    let calls = recording.calls(name).filter { mode != "condition" || $0.returnValue == Int64(ETIMEDOUT) }
    #expect(calls.count == 12)
    // A thread that is kept from running between the reading of its clock and its wait until an instant waits less than that; but each wait
    // ends 5 ms or more after the one before.
    let ends = calls.map(\.end).sorted()
    #expect(zip(ends, ends.dropFirst()).allSatisfy { $1 - $0 >= 4_900_000 })
    let durations = calls.map { $0.end - $0.start }
    #expect(durations.allSatisfy { $0 >= 0 } && durations.contains { $0 >= 4_900_000 })
    #expect(durations.reduce(0, +) <= (recording.outcome.ended - recording.outcome.started).nanoseconds)
    for call in recording.calls(name) {
      #expect(call.start >= recording.outcome.started.nanoseconds && call.end <= recording.outcome.ended.nanoseconds)
      #expect(GlobalID.processNumber(call.thread) == recording.outcome.process)
      #expect(GlobalID.threadNumber(call.thread) == recording.outcome.process, "the main thread's number is the process's")
    }
    #expect(recording.capture.unseen.isEmpty && recording.capture.damage.isEmpty && recording.capture.droppedCalls == 0)
  }

  @Test func valuesReturnedAreKept() throws {
    #expect(try Recording(["epoll", "3", "2"]).calls("epoll_wait").map(\.returnValue) == [0, 0, 0])
    #expect(try Recording(["semaphore", "2", "2"]).calls("sem_timedwait").map(\.returnValue) == [-1, -1])
    #expect(try Recording(["condition", "1", "2"]).calls("pthread_cond_timedwait").last?.returnValue == Int64(ETIMEDOUT))
  }

  @Test func eachThreadHasItsCallsAndItsName() throws {
    let recording = try Recording(["threads", "10", "2", "6"])
    let sleeps = recording.calls("nanosleep")
    #expect(sleeps.count == 60)
    let byThread = Dictionary(grouping: sleeps, by: \.thread)
    #expect(byThread.count == 6 && byThread.values.allSatisfy { $0.count == 10 })
    for number in 0..<6 { #expect(recording.threadNames.contains("probe-\(number)")) }
    #expect(recording.calls("pthread_join").count + Int(recording.below("pthread_join")) == 6)
    #expect(recording.capture.threads == 7 && recording.capture.processes == 1)
  }

  @Test func onlyTakenLocksAreNoted() throws {
    let recording = try Recording(["contend", "3", "50"])
    #expect(recording.status == 0)
    let locks = recording.durations("pthread_mutex_lock")
    #expect(locks.contains { $0 > 1_000_000 })
    // A thousand free ones left no trace, not even a count.
    #expect(locks.count + Int(recording.below("pthread_mutex_lock")) < 20)
    #expect(recording.calls("pthread_cond_wait").count + Int(recording.below("pthread_cond_wait")) >= 3)
  }

  @Test func nothingChangesForTheProgram() throws {
    #expect(try Recording(["check"]).status == 0)
    for status: Int32 in [0, 3, 77] { #expect(try Recording(["exit", "\(status)"]).status == status) }
  }

  @Test func callsOfSignalHandlersWithinCalls() throws {
    let recording = try Recording(["interrupt", "20", "4"])
    #expect(recording.status == 0)
    #expect(recording.calls("nanosleep").count == 20)
    let opened = recording.calls("open").count + Int(recording.below("open"))
    let written = recording.calls("write").count + Int(recording.below("write"))
    #expect(opened >= 20 && opened == written)
  }

  @Test func childrenAndProgramsTheyBecomeAreFollowed() throws {
    let recording = try Recording(["fork-exec", "1", "15"])
    #expect(recording.status == 0)
    // The child before exec, itself after exec, and the one with an empty environment.
    let sleeps = recording.calls("nanosleep")
    #expect(sleeps.count == 5 && sleeps.allSatisfy { $0.end - $0.start >= 14_000_000 })
    #expect(Set(sleeps.map { GlobalID.processNumber($0.thread) }).count == 2)
    #expect(recording.capture.processes == 3 && recording.capture.images == 4)
    #expect(recording.capture.unseen.isEmpty)
    #expect(recording.calls("fork").count == 1 && recording.calls("posix_spawn").count == 1)
    #expect(recording.durations("waitpid").filter { $0 > 14_000_000 }.count == 2)
  }

  @Test func whatWasRecordedBeforeSIGKILLIsThere() throws {
    let recording = try Recording(["sleep-and-die", "30", "1"])
    #expect(recording.outcome.ending == .killed(SIGKILL))
    #expect(recording.calls("nanosleep").count == 30)
    #expect(recording.capture.damage.isEmpty)
  }

  @Test func whatFindsNoRoomIsCounted() throws {
    // Room for the file's head and a few thousand records.
    let recording = try Recording(["flood", "40000"], thresholdNanoseconds: 0, limitBytes: 256 << 10)
    #expect(recording.status == 0)
    let kept = recording.calls("sched_yield").count
    let dropped = recording.capture.dropped.first { $0.name == "sched_yield" }?.calls ?? 0
    #expect(kept > 1000 && dropped > 1000)
    #expect(kept + Int(dropped) == 40_000)
  }

  @Test func noRoomAtAllLeavesTheProgramAlone() throws {
    let recording = try Recording(["sleep", "3", "2"], limitBytes: 1000)
    #expect(recording.status == 0 && recording.calls("nanosleep").isEmpty)
    #expect(!recording.capture.damage.isEmpty || !recording.capture.unseen.isEmpty, "and it is said")
  }

  @Test func shortCallsAreCounted() throws {
    let recording = try Recording(["flood", "5000"], thresholdNanoseconds: 500_000_000)
    #expect(recording.calls("sched_yield").isEmpty && recording.below("sched_yield") == 5000)
  }

  @Test func threadsThatEndHandTheirRoomOn() throws {
    // 500 threads with a record or two each: without handing on, 500 chunks of 8 KiB.
    let recording = try Recording(["churn", "1", "1", "500"], limitBytes: 512 << 10)
    #expect(recording.status == 0 && recording.capture.droppedCalls == 0)
    #expect(recording.calls("nanosleep").count == 500)
    #expect(Set(recording.calls("nanosleep").map(\.thread)).count > 400, "numbers may come again, but not often")
  }

  @Test func programsThatCloseEverythingAreRecordedAllTheSame() throws {
    // More records than the file was first made for.
    let recording = try Recording(["close-all", "20000"], thresholdNanoseconds: 0)
    #expect(recording.status == 0)
    #expect(recording.calls("sched_yield").count == 20_000)
  }

  @Test func programsThatGiveUpTheirRightsAreRecordedAllTheSame() throws {
    let recording = try Recording(["give-up-rights", "20000"], thresholdNanoseconds: 0)
    #expect(recording.status == 0 && recording.capture.droppedCalls == 0)
    #expect(recording.calls("sched_yield").count == 20_000)
  }

  @Test func callsThatDoNotEndAreCutOff() throws {
    let recording = try Recording(["block", "1", "80"])
    #expect(recording.status == 0)
    let waits = recording.calls("pthread_cond_wait")
    #expect(waits.count == 1 && waits.allSatisfy { $0.returnValue == Trace.unknown && $0.end - $0.start > 5_000_000 })
    #expect(recording.capture.cutCalls == 1)
  }

  @Test func theTimeIsOver() throws {
    let recording = try Recording(["sleep", "1", "60000"], limit: .milliseconds(80))
    #expect(recording.outcome.wasEnded && recording.outcome.ending == .killed(SIGTERM))
    let sleeps = recording.calls("nanosleep")
    #expect(sleeps.count == 1 && sleeps.allSatisfy { $0.end == recording.outcome.recordingEnded.nanoseconds })
  }

  @Test func staticChildrenAreNamed() throws {
    let place = "/tmp/headroom-static-\(getpid())"
    try #require(StaticProgram.write(to: place))
    defer { unlink(place) }
    let recording = try Recording(["run", "0", place])
    #expect(recording.status == 42)
    #expect(recording.capture.unseen.map(\.path) == [place])
    #expect(throws: CaptureError.self) { try ProgramSearch(place) }
    do throws(CaptureError) { _ = try ProgramSearch(place) } catch {
      #expect(error.kind == .cannotBeSeen && error.description.contains("static"))
    }
  }
}
