import Execution
import Scheduling

/// What a model version is at the moment it is looked at: everything the diagnosis needs beside the events, as a value.
package struct LiveModelState: Sendable {
  package var name: String
  package var version: String
  /// Of its loading: what the events carry.
  package var number: Int32
  package var device: DeviceDescription
  package var scheduling: SchedulerConfiguration
  package var queuedRequests = 0
  package var queuedRows = 0
  /// Instances that wait for a batch.
  package var readyInstances = 0
  /// What the kernels' step numbers mean in a batch of so many rows; nothing where nobody asked.
  package var steps: @Sendable (Int) -> [DeviceStep] = { _ in [] }

  package init(
    name: String, version: String, number: Int32, device: DeviceDescription, scheduling: SchedulerConfiguration, queuedRequests: Int = 0,
    queuedRows: Int = 0, readyInstances: Int = 0
  ) {
    self.name = name
    self.version = version
    self.number = number
    self.device = device
    self.scheduling = scheduling
    self.queuedRequests = queuedRequests
    self.queuedRows = queuedRows
    self.readyInstances = readyInstances
  }

  init(_ model: ServedModel) {
    let depth = model.queue.depth
    self.init(
      name: model.name, version: model.versionText, number: model.number, device: model.device,
      scheduling: SchedulerConfiguration(model.configuration), queuedRequests: depth.requests, queuedRows: depth.rows,
      readyInstances: depth.readyInstances)
  }

  package var instances: Int { scheduling.instances }
  /// Instances that hold a batch now: what it did is recorded when it ends.
  package var instancesAtWork: Int { max(0, instances - readyInstances) }
  /// Runs on processor cores: nothing of streaming multiprocessors, occupancy or launches applies.
  package var isProcessor: Bool { device.deviceClass == .processor }
  /// The device as reports and traces name it.
  package var deviceText: String { device.traceName }
}
