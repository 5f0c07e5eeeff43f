import CheckedNumbers
import JSONReading
import Trace

/// Global ids of threads: a process's and a thread's number have 24 bits each in them, and PyTorch writes larger ones.
struct ThreadNumbers {
  private struct Key: Hashable {
    var process: Int64
    var thread: Int64
  }

  private var processes: [Int64: Int64] = [:]
  private var takenProcesses: Set<Int64> = []
  private var threads: [Key: Int64] = [:]
  private var takenThreads: Set<Int64> = []
  /// Where the search for a free number goes on.
  private var threadsBelow: [Int64: Int64] = [:]
  private var processesBelow: Int64 = 0xFF_FFFF
  private var texts: [String: Int64] = [:]
  private var last: (process: Int64, thread: Int64, id: Int64)?

  mutating func number(_ process: KinetoEvent.Identity, _ thread: KinetoEvent.Identity, _ cursor: JSONCursor) -> Int64 {
    let (process, thread) = (plain(process, cursor), plain(thread, cursor))
    if let last, last.process == process, last.thread == thread { return last.id }
    let key = Key(process: process, thread: thread)
    var id = threads[key]
    if id == nil {
      let short = self.process(process)
      var candidate = thread & 0xFF_FFFF
      if takenThreads.contains(short | candidate) { candidate = free(in: short, threadsBelow[short] ?? 0xFF_FFFF) }
      takenThreads.insert(short | candidate)
      threads[key] = short | candidate
      id = short | candidate
    }
    let found = id ?? Trace.unknown
    last = (process, thread, found)
    return found
  }

  /// A process of that name alone, for device work whose own process is not in the file.
  mutating func process(named label: String) -> Int64 { process(number(of: "process of " + label)) }

  private mutating func process(_ number: Int64) -> Int64 {
    if let known = processes[number] { return known }
    var candidate = number & 0xFF_FFFF
    while takenProcesses.contains(candidate), processesBelow > 0 {
      candidate = processesBelow
      processesBelow -= 1
    }
    takenProcesses.insert(candidate)
    processes[number] = candidate << 24
    return candidate << 24
  }

  /// The largest number that no thread of the process has: for those that agree with another in their low bits.
  private mutating func free(in process: Int64, _ from: Int64) -> Int64 {
    var candidate = from
    while candidate > 0, takenThreads.contains(process | candidate) { candidate -= 1 }
    threadsBelow[process] = candidate
    return candidate
  }

  /// Texts get numbers of their own, from above any real one.
  private mutating func plain(_ identity: KinetoEvent.Identity, _ cursor: JSONCursor) -> Int64 {
    switch identity {
    case .none: return 0
    case .number(let value): return value
    case .text(let span): return number(of: cursor.string(span))
    }
  }

  private mutating func number(of text: String) -> Int64 {
    if let known = texts[text] { return known }
    let number = Int64(1) << 62 | Int64(texts.count) + 1
    texts[text] = number
    return number
  }
}
