import ModelConfiguration
import ONNXFormat

extension ModelSignature {
  /// What an ONNX file declares, for a configuration that names these inputs; nil where it declares no shape or type for a tensor that
  /// has to be known.
  init?(_ interface: ONNXInterface, inputs named: Set<String>) {
    func tensors(_ declared: [ONNXInterface.Tensor]) -> [Tensor]? {
      let known = declared.compactMap { tensor -> Tensor? in
        guard let dims = tensor.dims, let type = TensorDataType(onnx: tensor.elementType) else { return nil }
        return Tensor(name: tensor.name, dataType: type, dims: dims)
      }
      return known.count == declared.count ? known : nil
    }
    guard let inputs = tensors(interface.inputs.filter { !$0.hasDefault || named.contains($0.name) }),
      let outputs = tensors(interface.outputs)
    else { return nil }
    self.init(inputs: inputs, outputs: outputs)
  }

  /// With every size open that the file declares open, the rows aside. What shape inference knows better than the file says, clients and
  /// configurations do not have to: ONNX Runtime gives the declared types, and Triton compares with those.
  func opened(as interface: ONNXInterface?) -> ModelSignature {
    guard let interface else { return self }
    var result = self
    func open(_ tensors: inout [Tensor], _ declared: [ONNXInterface.Tensor]) {
      let dims = Dictionary(declared.map { ($0.name, $0.dims) }) { first, _ in first }
      for index in tensors.indices {
        guard let known = dims[tensors[index].name], let known, known.count == tensors[index].dims.count else { continue }
        for axis in known.indices.dropFirst() where known[axis] < 0 { tensors[index].dims[axis] = -1 }
      }
    }
    open(&result.outputs, interface.outputs)
    return result
  }
}

extension TensorDataType {
  /// By ONNX's number (onnx/onnx onnx.proto, TensorProto.DataType).
  init?(onnx number: Int) {
    let types: [Int: TensorDataType] = [
      1: .float32, 2: .uint8, 3: .int8, 4: .uint16, 5: .int16, 6: .int32, 7: .int64, 8: .string, 9: .bool, 10: .float16, 11: .float64,
      12: .uint32, 13: .uint64, 16: .bfloat16,
    ]
    guard let type = types[number] else { return nil }
    self = type
  }
}
