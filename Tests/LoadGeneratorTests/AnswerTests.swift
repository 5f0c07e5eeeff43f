import Testing
import TimeBase

@testable import LoadGenerator

@Suite struct AnswerTests {
  static func read(_ text: String, first count: Int = .max) -> AnswerHead.Outcome {
    Array(text.utf8.prefix(count)).withUnsafeBytes { AnswerHead.read($0) }
  }

  @Test func aHeadIsReadOnceItIsWhole() throws {
    let text = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  12 \r\nInference-Header-Content-Length: 7\r\n\r\n"
    for length in 0..<text.utf8.count { #expect(Self.read(text, first: length) == .incomplete) }
    guard case .complete(let head) = Self.read(text + "body") else {
      Issue.record("not complete")
      return
    }
    #expect(head.status == 200)
    #expect(head.contentLength == 12)
    #expect(head.inferenceHeaderLength == 7)
    #expect(head.byteCount == text.utf8.count)
    #expect(head.keepsAlive)
  }

  @Test func connectionsStayOrNotAsTheHeadSays() {
    for (text, keeps) in [
      ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false), ("HTTP/1.0 200 OK\r\n\r\n", false),
      ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true), ("HTTP/1.1 204 No Content\n\n", true),
    ] {
      guard case .complete(let head) = Self.read(text) else {
        Issue.record("\(text) is not complete")
        continue
      }
      #expect(head.keepsAlive == keeps)
    }
  }

  @Test(arguments: [
    "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200 OK\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1234567890123456\r\n", "HTTP/1.1 200 OK\r\nContent-Length:\r\n", "\r\n",
  ])
  func whatIsNoHeadIsRefused(text: String) { #expect(Self.read(text) == .malformed) }

  @Test func anEndlessHeadIsRefused() {
    let line = "x-a: " + String(repeating: "b", count: 100) + "\r\n"
    #expect(Self.read("HTTP/1.1 200 OK\r\n" + String(repeating: line, count: 700)) == .malformed)
  }

  @Test func bodiesEndAsTheHeadSays() throws {
    func body(_ text: String, hasEnded: Bool = false) throws -> String? {
      try BlockingExchange.answer(in: Array(text.utf8), hasEnded: hasEnded).map { String(decoding: $0.body, as: UTF8.self) }
    }
    #expect(try body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab") == nil)
    #expect(try body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc") == "abc")
    #expect(try body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz") == "z")
    #expect(try body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n") == "abc")
    #expect(try body("HTTP/1.1 200 OK\r\n\r\nto the end") == nil)
    #expect(try body("HTTP/1.1 200 OK\r\n\r\nto the end", hasEnded: true) == "to the end")
  }

  // MARK: What an answer must look like

  static func answer(_ json: String, _ tensors: [UInt8] = [], isBinary: Bool = true) -> BlockingExchange.Answer {
    .init(status: 200, body: Array(json.utf8) + tensors, inferenceHeaderLength: isBinary ? json.utf8.count : nil)
  }

  static func fault(_ expected: BlockingExchange.Answer, _ own: BlockingExchange.Answer, verify: Bool) throws -> AnswerExpectation.Fault? {
    let expectation = try AnswerExpectation(expected, verifiesValues: verify)
    return own.body.withUnsafeBytes { expectation.fault(in: $0, headerLength: own.inferenceHeaderLength ?? -1) }
  }

  static func json(shape: String, id: String = "1", bytes: Int? = 4, data: String? = nil) -> String {
    "{\"id\":\"\(id)\",\"outputs\":[{\"name\":\"o\",\"datatype\":\"FP32\",\"shape\":\(shape)"
      + (bytes.map { ",\"parameters\":{\"binary_data_size\":\($0)}" } ?? "") + (data.map { ",\"data\":\($0)" } ?? "") + "}]}"
  }

  @Test func shapesOfBinaryAnswersAreChecked() throws {
    let expected = Self.answer(Self.json(shape: "[1,1]"), [0, 0, 128, 63])
    #expect(try Self.fault(expected, expected, verify: false) == nil)
    #expect(try Self.fault(expected, Self.answer(Self.json(shape: "[1,1]"), [0, 0, 0, 64]), verify: false) == nil)
    #expect(try Self.fault(expected, Self.answer(Self.json(shape: "[1,1]", id: "another"), [0, 0, 128, 63]), verify: false) == nil)
    #expect(try Self.fault(expected, Self.answer(Self.json(shape: "[1,2]"), [0, 0, 128, 63]), verify: false) == .shape)
    #expect(try Self.fault(expected, Self.answer(Self.json(shape: "[1,1]"), [0, 0, 128]), verify: false) == .shape)
    #expect(try Self.fault(expected, Self.answer("{}"), verify: false) == .shape)
  }

  @Test func valuesAreComparedWithVerify() throws {
    let expected = Self.answer(Self.json(shape: "[1,1]"), [0, 0, 128, 63])
    #expect(try Self.fault(expected, expected, verify: true) == nil)
    // 1 + 2^-23: another order of the sum.
    #expect(try Self.fault(expected, Self.answer(Self.json(shape: "[1,1]"), [1, 0, 128, 63]), verify: true) == nil)
    #expect(try Self.fault(expected, Self.answer(Self.json(shape: "[1,1]"), [0, 0, 0, 64]), verify: true) == .values)
  }

  @Test func jsonAnswersToo() throws {
    func answer(_ shape: String, _ data: String) -> BlockingExchange.Answer {
      Self.answer(Self.json(shape: shape, bytes: nil, data: data), isBinary: false)
    }
    let expected = answer("[1,2]", "[1.0,2.0]")
    #expect(try Self.fault(expected, answer("[1,2]", "[3.25,-4]"), verify: false) == nil)
    #expect(try Self.fault(expected, answer("[2,1]", "[1.0,2.0]"), verify: false) == .shape)
    #expect(try Self.fault(expected, answer("[1,2]", "[1,2.0001]"), verify: true) == nil)
    #expect(try Self.fault(expected, answer("[1,2]", "[1,2.1]"), verify: true) == .values)
  }

  // MARK: Queues

  @Test func timersComeOutInOrder() {
    var random = SplitMix64(seed: 4)
    var heap = TimerHeap()
    var dues: [Int64] = []
    for user in 0..<500 {
      let due = Int64(clamping: random.next() % 100)
      dues.append(due)
      heap.push(due, Int32(clamping: user))
    }
    var popped: [Int64] = []
    while heap.first != nil { popped.append(dues[Int(heap.pop())]) }
    #expect(popped == dues.sorted())
  }
}
