import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// The test bundle's entry point. The package manager would write one itself, from XCTest's tests, of which there are none, and would look for
/// them in an index of all sources that nobody else reads: a quarter of the build's processor time.
@main struct TestBundle {
  static func main() async {
    // Asked for XCTest's tests, as `swift test` does where an entry point is given: not a run of nothing, which would count as passed.
    guard CommandLine.arguments.contains("swift-testing") else {
      print("These tests are Swift Testing's: make test-swift, or swift test --disable-xctest --enable-swift-testing")
      exit(64)
    }
    await Testing.__swiftPMEntryPoint() as Never
  }
}
