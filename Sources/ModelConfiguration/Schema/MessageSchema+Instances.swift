extension EnumSchema {
  static let instanceKind = EnumSchema(name: "ModelInstanceGroup.Kind", names: ["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"])
  static let secondaryDeviceKind = EnumSchema(name: "SecondaryDeviceKind", names: ["KIND_NVDLA"])
}

extension MessageSchema {
  static let instanceMessages: [MessageSchema] = [
    MessageSchema(
      "ModelRateLimiter", [FieldSchema("resources", .message("Resource"), .repeated), FieldSchema("priority", .uint32)]),
    MessageSchema("Resource", [FieldSchema("name", .string), FieldSchema("global", .bool), FieldSchema("count", .uint32)]),
    MessageSchema(
      "ModelInstanceGroup",
      [
        FieldSchema("name", .string),
        FieldSchema("kind", .enumeration(.instanceKind)),
        FieldSchema("count", .int32),
        FieldSchema("rate_limiter", .message("ModelRateLimiter")),
        FieldSchema("gpus", .int32, .repeated),
        FieldSchema(
          "secondary_devices", .message("SecondaryDevice"), .repeated, .ignored("deep-learning accelerators beside the GPU are not used")),
        FieldSchema("profile", .string, .repeated),
        FieldSchema("passive", .bool),
        FieldSchema("host_policy", .string, .singular, .ignored("threads run where the system puts them; bind the server itself")),
      ]),
    MessageSchema(
      "SecondaryDevice", [FieldSchema("kind", .enumeration(.secondaryDeviceKind)), FieldSchema("device_id", .int64)]),
  ]
}
