public import ModelConfiguration
import TimeBase

/// A model whose engine runs in a process of its own: a fault there fails the batches it had, and nothing else.
public final class IsolatedModel: LoadedModel {
  /// Inputs and outputs, as the engine says.
  public let signature: ModelSignature
  /// Whether dimension 0 counts rows.
  public let hasRowDimension: Bool
  /// Bytes of weights, as the engine says.
  public let weightBytes: Int
  /// Inputs that have a default, as the engine says.
  public let omissibleInputs: Set<Int>
  private let step: String
  let keeper: EngineKeeper
  /// What the model's file lives in: the process may have to load it again.
  private let files: TemporaryFolder?

  init(name: String, load: EngineLoad, isolation: EngineIsolation, keeping files: TemporaryFolder?) throws(DeviceError) {
    let keeper = EngineKeeper(name: name, load: load, isolation: isolation)
    let loaded: EngineLoaded
    do throws(DeviceError) { loaded = try keeper.start() } catch {
      keeper.close()
      throw error
    }
    self.keeper = keeper
    self.files = files
    signature = loaded.signature
    hasRowDimension = loaded.hasRows
    weightBytes = loaded.weightBytes
    omissibleInputs = Set(loaded.omissible.filter(loaded.signature.inputs.indices.contains))
    step = loaded.step
  }

  deinit { keeper.close() }

  /// Calls once, when so many batches in a row were good, counted from now on.
  public func whenProven(batches: Int, _ call: @escaping @Sendable () -> Void) { keeper.whenProven(batches: batches, call) }

  /// While its process is given up.
  public var outage: String? { keeper.outage }

  /// One step: the engine does not say more.
  public func steps(rows: Int) -> [DeviceStep] { [DeviceStep(step)] }

  /// A connection of its own, with memory of its own.
  public func makeInstance() throws(DeviceError) -> any ModelInstance { try IsolatedInstance(self) }
}
