/// One colour per category, for reports and the live page: a category keeps its colour wherever it is drawn, and in a terminal its letter.
/// The first nine are Okabe and Ito's, told apart by colour-blind readers; every part also has a label. Of one bar the largest loss is drawn
/// at full strength and the rest paler.
public enum ChartPalette {
  /// For light paper: custom properties of a style sheet.
  public static let light = """
    --s0:#0072b2;--s1:#56b4e9;--s2:#009e73;--s3:#c9a400;--s4:#cc79a7;--s5:#d55e00;--s6:#8c8c8c;--s7:#3f4a5a;--s8:#7a5cc4;\
    --s9:#8c564b;--s10:#7a8b00;--s11:#138a9e;--s12:#a64f93;--s13:#a48a4f;--s14:#6f7f92
    """
  /// For dark paper.
  public static let dark = """
    --s0:#4aa3df;--s1:#8ecdf2;--s2:#2fc49a;--s3:#e6c229;--s4:#e39cc4;--s5:#f08a45;--s6:#8b949e;--s7:#b4c0cf;--s8:#a48ee8;\
    --s9:#c49c94;--s10:#b9cb52;--s11:#5fcfe0;--s12:#d79acb;--s13:#dcc894;--s14:#a3b3c6
    """
  /// Colours there are.
  public static let count = 15
  /// Opacity of every part but the largest loss.
  public static let paleOpacity = 0.5
}
