public import Trace

extension Experiment {
  /// Two seconds of the published case study's first variant in virtual time: a trace for those who have none yet.
  public static func demoTrace() throws -> Trace {
    var experiment = try builtIn(caseStudyName, seconds: 2)
    experiment.variants = Array(experiment.variants.prefix(1))
    experiment.repetitions = 1
    var runner = ExperimentRunner()
    runner.explains = false
    guard let result = try runner.run(experiment).variants.first else { throw ExperimentError("the case study has no variants") }
    return result.trace
  }
}
