import JSONText
import Testing
import TimeBase

@testable import Serving
@testable import HTTPFrontEnd
@testable import ServingDiagnosis

@Suite("The live page")
struct LivePageTests {
  @Test("the page asks nobody but this server and runs nothing but its own script")
  func isClosed() throws {
    let policy = LivePage.text().contentSecurityPolicy
    #expect(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'") && !policy.contains("unsafe"))
    let text = LivePage.text(nonce: "abc")
    #expect(!text.contains("https://"))
    #expect(text.replacing("http://www.w3.org/2000/svg", with: "").contains("http://") == false)
    #expect(text.contains("<script nonce=\"abc\">") && text.contains("<style nonce=\"abc\">"))
    for name in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="] {
      #expect(!text.contains(name), "\(name) could turn a text into markup or break the policy")
    }
    #expect(LivePage.text().contentSecurityPolicy != policy, "a nonce is used once")
  }

  @Test("a model called like markup stays a text in the answer")
  func names() throws {
    let name = "</script><img src=x onerror=alert(1)>\"\n"
    let text = LiveWorld.answer([LiveWorld.saturated(name: name)]).json.serialized(pretty: false)
    let parsed = try JSONValue.parse(text)
    #expect(parsed["busiestModel"]?.stringValue == name)
    #expect(!LivePage.text(nonce: "n").contains(name))
  }

  @Test("the query's model, escapes resolved")
  func query() {
    #expect(KServeApplication.value(of: "model", in: "model=a%20b%3Cc+d") == "a b<c d")
    #expect(KServeApplication.value(of: "model", in: "x=1&model=m") == "m")
    #expect(KServeApplication.value(of: "model", in: "model=") == nil)
    #expect(KServeApplication.value(of: "model", in: "") == nil)
    #expect(KServeApplication.value(of: "model", in: "model=%4") == "%4")
  }

  @Test("CPU time between two samples")
  func clock() throws {
    func sample(_ seconds: Double, _ loops: [Int32: (onCore: Int64, waiting: Int64)], _ process: Int64) -> FrontEndClock.Sample {
      FrontEndClock.Sample(time: Instant(nanoseconds: Int64(seconds * 1e9)), loops: loops, process: process)
    }
    let before = sample(1, [5: (0, 0), 6: (1_000_000_000, 0)], 0)
    let now = sample(3, [5: (1_000_000_000, 500_000_000), 6: (1_000_000_000, 0), 7: (9, 9)], 3_000_000_000)
    let usage = try #require(FrontEndClock.usage(from: before, to: now))
    #expect(usage.loops == 2 && usage.seconds == 2)
    #expect(usage.busyShare == 0.25 && usage.busiestShare == 0.5 && usage.waitShare == 0.125 && usage.coresUsed == 1.5)
    #expect(FrontEndClock.usage(from: before, to: sample(3, [:], 0)) == nil)
  }
}
