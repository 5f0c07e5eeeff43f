public import Diagnosis
public import Planning
public import Simulation
public import Trace

/// What came of an experiment.
public struct ExperimentResult: Sendable {
  /// What was asked.
  public var experiment: Experiment
  /// By variant, in the experiment's order.
  public var variants: [VariantResult]

  /// With every field stated.
  public init(experiment: Experiment, variants: [VariantResult]) {
    self.experiment = experiment
    self.variants = variants
  }
}

/// What came of one variant.
public struct VariantResult: Sendable {
  /// What ran.
  public var variant: Variant
  /// Its plan.
  public var plan: Plan
  /// Its plan at the batch size that came up most.
  public var usualBatch: BatchPlan
  /// Counters of the first run.
  public var run: SimulationResult
  /// The first run's trace.
  public var trace: Trace
  /// What the trace says.
  public var analysis: TraceAnalysis
  /// The trace's evidence, completed by what only the simulation knows.
  public var evidence: RunEvidence
  /// How much more it can take.
  public var headroom: Headroom
  /// Verdict, findings, gains, cumulative improvement plan.
  public var assessment: Assessment
  /// Answers per second of every repetition.
  public var throughputs: [Double]
  /// Mean latencies of every repetition, milliseconds.
  public var meanLatencies: [Double]
}
