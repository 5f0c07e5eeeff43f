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
    await completion { done in fixture.server.loadModel(name, configuration: nil, files: [:], on: fixture.group.next(), reply: done) }
  }

  private static func unload(_ fixture: ServerFixture, _ name: String) async -> Result<Void, KServeError> {
    await completion { done in fixture.server.unloadModel(name, unloadDependents: false, on: fixture.group.next(), reply: done) }
  }

  private static func states(_ fixture: ServerFixture) -> [String] { fixture.server.repositoryIndex(readyOnly: false).map(\.state) }

  /// What was seen of a model that was loaded again while a request of its old loading was held.
  private struct Reload: Sendable {
    var unloading: [String]
    var loaded: [String]
    var closing: Int
  }

  /// Unloads and loads while the first request is held; nil where that had ended before. On a thread of its own: the pool that the other
  /// tests share may take longer than any hold.
  private static func reloadWhileHeld(_ fixture: ServerFixture) async -> Reload? {
    await withCheckedContinuation { continuation in
      DetachedThread.start(named: "reload") {
        let server = fixture.server
        // On another thread: an instance that is idle runs a batch on the thread that brings it.
        DetachedThread.start(named: "held request") {
          _ = server.infer(ServerFixture.request("m", [1, 2, 3, 4]), on: fixture.group.next()) { _ in }
        }
        let end = MonotonicClock.now + .milliseconds(8000)
        while server.unansweredRequests == 0 {
          if MonotonicClock.now > end { return continuation.resume(returning: nil) }
          MonotonicClock.yield()
        }
        server.unloadModel("m", unloadDependents: false, on: fixture.group.next()) { _ in
          let unloading = Self.states(fixture)
          server.loadModel("m", configuration: nil, files: [:], on: fixture.group.next()) { _ in
            continuation.resume(returning: Reload(unloading: unloading, loaded: Self.states(fixture), closing: server.manager.closing))
          }
        }
      }
    }
  }

  /// The old loading is over with its last request, when a new one is there already.
  @Test func theEndOfAnOldLoadingLeavesTheNewOneAlone() async throws {
    let hang = ServerFixture.parameter("hang_batch", "1") + " " + ServerFixture.parameter("hang_ms", "10000")
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", hang)], Self.explicit)
    let old = fixture.server.manager.table.allReady[0]
    let seen = try #require(await Self.reloadWhileHeld(fixture), "the request was not held")
    #expect(seen.unloading == ["UNLOADING"])
    #expect(seen.loaded == ["READY"])
    #expect(seen.closing == 1)
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

  /// Whichever configuration a request meets, it is answered by that one alone: rows counted or not, one instance or three, with a delay or
  /// without.
  @Test func configurationsChangeUnderLoad() async throws {
    let fixture = try ServerFixture(["m": ServerFixture.identity("m", rows: 8)], Self.explicit)
    let tensors = { (dims: String) in
      "\"input\":[{\"name\":\"x\",\"data_type\":\"TYPE_FP32\",\"dims\":\(dims)}],\"output\":[{\"name\":\"y\",\"data_type\":\"TYPE_FP32\",\"dims\":\(dims)}]"
    }
    let configurations = [
      "{\"name\":\"m\",\"backend\":\"identity\",\"max_batch_size\":0,\(tensors("[-1,4]"))}",
      "{\"name\":\"m\",\"backend\":\"identity\",\"max_batch_size\":4,\(tensors("[4]")),\"dynamic_batching\":{\"max_queue_delay_microseconds\":300}}",
      "{\"name\":\"m\",\"backend\":\"identity\",\"max_batch_size\":8,\(tensors("[-1]")),\"instance_group\":[{\"count\":3,\"kind\":\"KIND_CPU\"}]}",
    ]
    let isOver = Tally()
    await withTaskGroup(of: Void.self) { group in
      for client in 0..<6 {
        group.addTask {
          var round = 0
          while isOver.value == 0 {
            round += 1
            let rows = 1 + round % 3
            let values = (0..<4 * rows).map { Float(client * 10_000 + round % 1000 + $0) }
            let answer = await fixture.infer("m", values)
            #expect(answer.values == values, "\(answer.problem?.message ?? "other values")")
          }
        }
      }
      group.addTask {
        for round in 0..<60 {
          await withCheckedContinuation { continuation in
            fixture.server.loadModel("m", configuration: configurations[round % 3], files: [:], on: fixture.group.next()) { result in
              if case .failure(let error) = result { Issue.record("\(error.message)") }
              continuation.resume()
            }
          }
        }
        isOver.add()
      }
    }
    while fixture.server.manager.closing > 0 { await Task.yield() }
    #expect(Self.states(fixture) == ["READY"])
  }
}
