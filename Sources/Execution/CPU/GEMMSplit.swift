import CheckedNumbers

/// How a product is cut into tasks: all rows for some panels, so that each panel of weights is read from memory once; rows are cut only when
/// there are very many.
struct GEMMSplit {
  let rows: Int
  let panels: Int
  let rowParts: Int
  let panelParts: Int

  init(rows: Int, panels: Int, depth: Int, threads: Int) {
    self.rows = rows
    self.panels = panels
    // 384 rows at a time: four blocks of the kernels' 96.
    rowParts = max(1, (rows + 383) / 384)
    // Some tasks more than threads even out neighbours; not so many that a task is shorter than taking it.
    let work = 2 * Double(rows) * Double(panels) * 32 * Double(depth)
    let weights = Double(panels) * 32 * Double(depth) * 4
    let worth = max(1, Int(saturating: max(work / 1_500_000, weights / 250_000)))
    panelParts = threads == 1 ? 1 : min(panels, max(1, min(worth, threads * 6)))
  }

  var tasks: Int { rowParts * panelParts }

  subscript(task: Int) -> (rows: Range<Int>, panels: Range<Int>) {
    let (row, panel) = (task / panelParts, task % panelParts)
    return (rows * row / rowParts..<rows * (row + 1) / rowParts, panels * panel / panelParts..<panels * (panel + 1) / panelParts)
  }
}
