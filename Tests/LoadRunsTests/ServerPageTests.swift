@testable import LoadRuns
import LoadGenerator
import Testing

/// A page fetched once; what is wrong is said with its address.
@Suite struct ServerPageTests {
  @Test(arguments: [
    ("http://gpu7:8000", true), ("gpu7:8002/metrics", true), ("https://gpu7/v2", true), ("http://", false), ("http://a:0/", false),
    ("http://a:99999/", false), ("http://a/with space", false), ("", false),
  ])
  func addresses(text: String, isTaken: Bool) {
    #expect(ServerPage.isAddress(text) == isTaken)
  }

  @Test func anErrorBeginsWithTheAddress() {
    for url in ["http://127.0.0.1:1/metrics", "http://name-that-nobody-has.invalid/"] {
      let error = #expect(throws: LoadError.self) { try ServerPage.get(url) }
      #expect(error?.description.hasPrefix(url) == true, "\(String(describing: error))")
    }
    #expect(throws: LoadError.self) { try ServerPage.get("http://") }
  }

  @Test func onlyAGoodAnswerHasAPage() throws {
    #expect(try ServerPage.page(status: 200, [1, 2]) == [1, 2])
    let error = #expect(throws: LoadError.self) { try ServerPage.page(status: 404, []) }
    #expect(error?.description == "answered status 404")
  }
}
