import ArgumentParser
import Console
import FileAccess
import LoadGenerator
import LoadRuns
import ProcessContract
import YAMLFields

/// `headroom load`: the load generator.
struct LoadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "The load generator: closed and open loops over HTTP, KServe v2 bodies, and its own health in every report.",
    usage: """
      headroom load URL [options]
      headroom load --model NAME [--url HOST:PORT] [options]
      headroom load SCENARIO.yaml [options]
      headroom load merge FILE ...
      """,
    discussion: """
      Closed loop: users who wait for their answers. Open loop: requests at a rate, whatever comes back; latency counts from the instant a request \
      was due, so that a stall of the server is seen by every request that should have been sent in it. Ctrl-C ends a run early and prints its \
      report; twice, it does not wait for answers. A scenario file mixes requests by weight (--init prints one). `load merge` adds up --hdr-log \
      files, of this program or another; of the parts of one run it demands that all are there and in time.

      EXAMPLES
        headroom load http://localhost:8080/ --users 64
        headroom load --model seqlen --users 1000 --spawn-rate 100 \\
          --think uniform:0.1,0.5
        headroom load --model seqlen --rate 500 --poisson --rows 1-8 --duration 30 \\
          --fail-on 'p99>50ms' --fail-on 'errors>0'
        headroom load --model seqlen --url localhost:8001 --protocol grpc --users 16
        headroom load --init > mix.yaml
        headroom load mix.yaml --duration 60 --html report.html
        headroom load --model seqlen --rate 0-1000:30,1000:60 --duration 90 \\
          --warmup 0
        headroom load --model seqlen --find-rate 'p99<50ms'
        headroom load --model seqlen --rate 2000 --share 0/2 \\
          --start-at 1800000000 --hdr-log a.hlog
        headroom load merge a.hlog b.hlog

      EXIT CODES
        0 ok; 1 failed; 2 a --fail-on came true; 3 --find-rate found none;
        4 a part of a shared run is missing or late; 64 wrong usage; 130 interrupted.
      """)

  @Argument(help: ArgumentHelp("http://HOST:PORT/PATH of any server; a scenario file; or \"merge\" and files.", valueName: "url"))
  var targets: [String] = []

  @Flag(name: .customLong("init"), help: "Print a commented scenario file and end.") var printsTemplate = false
  @OptionGroup(title: "What is sent") var request: LoadRequestOptions
  @OptionGroup(title: "When it is sent") var pace: LoadPaceOptions
  @OptionGroup(title: "One run on several machines") var sharing: LoadSharingOptions
  @OptionGroup(title: "What comes out") var output: LoadOutputOptions

  func validate() throws { if !printsTemplate { try checked(settings.check) } }

  func run() throws {
    if printsTemplate { return Terminal.print(String(LoadScenarioFile.template.dropLast())) }
    let status: ExitStatus
    do {
      status =
        settings.isMerge
        ? try LoadMerge.run(Array(targets.dropFirst()), output: settings.parsedOutput) : try LoadSession(settings.parsed()).run()
    } catch  where error is LoadError || error is FileError || error is YAMLFieldError {
      throw failed(Self.self, error)
    }
    if status != .ok { throw ExitCode(status) }
  }

  private var settings: LoadSettings {
    var settings = LoadSettings(targets: targets)
    settings.request = request.settings
    settings.pace = pace.settings
    settings.output = output.settings
    settings.failOn = output.failOn
    settings.share = sharing.share
    settings.startAt = sharing.startAt
    return settings
  }
}
