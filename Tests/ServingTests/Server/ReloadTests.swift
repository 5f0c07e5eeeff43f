import KServe
import Testing
import Threads
import TimeBase

@testable import Serving

@Suite struct ReloadTests {
  private static func explicit(_ options: inout InferenceServer.Options) {
    options.controlMode = .explicit
    options.loadModels = ["*"]
  }

  private static func load(_ fixture: ServerFixture, _ name: String) async -> Result<Void, KServeError> {
    await withCheckedContinuation { continuation in
      fixture.server.loadModel(name, configuration: nil, files: [:], on: fixture.group.next()) { continuation.resume(returning: $0) }
    }
  }

  private static func unload(_ fixture: ServerFixture, _ name: String) async -> Result<Void, KServeError> {
    await withCheckedContinuation { continuation in
      fixture.server.unloadModel(name, unloadDependents: false, on: fixture.group.next()) { continuation.resume(returning: $0) }
    }
  }

  private static func states(_ fixture: ServerFixture) -> [String] { fixture.server.repositoryIndex(readyOnly: false).map(\.state) }

  /// The old loading answers its last request when a new one is there already.
  @Test func theEndOfAnOldLoadingLeavesTheNewOneAlone() async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", ServerFixture.parameter("execute_delay_ms", "300"))], Self.explicit)
    let old = fixture.server.manager.table.allReady[0]
    async let late = fixture.infer("m", [1, 2, 3, 4])
    while old.queue.unansweredRequests == 0 { await Task.yield() }
    _ = await Self.unload(fixture, "m")
    #expect(Self.states(fixture) == ["UNLOADING"])
    _ = await Self.load(fixture, "m")
    #expect(Self.states(fixture) == ["READY"])
    #expect(await late.values == [1, 2, 3, 4])
    while fixture.server.manager.closing > 0 { await Task.yield() }
    #expect(Self.states(fixture) == ["READY"])
    #expect(try fixture.server.isModelReady("m", version: ""))
    #expect(fixture.server.manager.table.allReady[0] !== old)
  }

  @Test func anUnloadedModelIsUnavailableOnceItIsDrained() async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m")], Self.explicit)
    _ = await Self.unload(fixture, "m")
    while fixture.server.manager.closing > 0 { await Task.yield() }
    #expect(fixture.server.repositoryIndex(readyOnly: false).map(\.reason) == ["unloaded"])
  }

  /// A thousand loadings under load end all of their threads: those of instances and the one that keeps the time.
  @Test(arguments: [false, true]) func reloadsLeaveNoThreads(unloads: Bool) async throws {
    let name = unloads ? "leak-u" : "leak-l"
    let fixture = try ServerFixture(
      [name: ServerFixture.identity(name, "dynamic_batching { max_queue_delay_microseconds: 200 }")], Self.explicit)
    let isOver = Tally()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        group.addTask {
          while isOver.value == 0 {
            let answer = await fixture.infer(name, [1, 2, 3, 4])
            if answer.problem == nil { #expect(answer.values == [1, 2, 3, 4]) } else { await Task.yield() }
          }
        }
      }
      group.addTask {
        for _ in 0..<500 {
          if case .failure(let error) = await Self.load(fixture, name) { Issue.record("\(error.message)") }
          if unloads { _ = await Self.unload(fixture, name) }
        }
        isOver.add()
      }
    }
    _ = await Self.load(fixture, name)
    let end = MonotonicClock.now + .milliseconds(20_000)
    while ProcessThreads.count(named: "timer \(name)") != 1 || ProcessThreads.count(named: "\(name) 0") != 1, MonotonicClock.now < end {
      await Task.yield()
    }
    #expect(ProcessThreads.count(named: "timer \(name)") == 1)
    #expect(ProcessThreads.count(named: "\(name) 0") == 1)
    #expect(fixture.server.unansweredRequests == 0)
  }
}
