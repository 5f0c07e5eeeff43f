"""Where the marks of a page's charts lie, by headless Chromium: no bar, label or tick may leave its drawing, and nothing the window."""
import html
import json
import re
import subprocess

# What has no extent is not seen; a line's own width and a letter's overhang are within a pixel and a half.
PROBE = """<script>addEventListener('load', () => setTimeout(() => {
  // Before anything is opened: what a reader sees first. The details of an answer stay closed.
  const cards = [...document.querySelectorAll('.card, #verdict.verdict')];
  const answers = cards.map(card => { const box = card.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom].map(Math.round) });
  const answerBars = cards.filter(card => card.querySelector('svg[role=img]')).length;
  document.querySelectorAll('details').forEach(part => part.open = true);
  const outside = [], room = 1.5; let marks = 0, drawings = 0;
  for (const drawing of document.querySelectorAll('svg')) {
    const frame = drawing.getBoundingClientRect();
    if (!frame.width || !frame.height) continue;
    drawings++;
    for (const mark of drawing.querySelectorAll('rect, path, line, polyline, polygon, circle, text')) {
      if (mark.closest('defs, pattern, clipPath, marker')) continue;
      const box = mark.getBoundingClientRect();
      if (!box.width && !box.height) continue;
      marks++;
      if (box.left < frame.left - room || box.right > frame.right + room || box.top < frame.top - room || box.bottom > frame.bottom + room)
        outside.push([mark.tagName, (mark.textContent || '').trim().slice(0, 40), drawing.getAttribute('aria-label') || drawing.id || drawing.getAttribute('class') || '',
          [box.left - frame.left, box.top - frame.top, box.right - frame.right, box.bottom - frame.bottom].map(Math.round)]);
    }
    // A drawing wider than the window is reached by scrolling its own area, never the page's.
    let area = drawing.parentElement;
    while (area && !['auto', 'scroll'].includes(getComputedStyle(area).overflowX)) area = area.parentElement;
    if (!area && (frame.left < -room || frame.right > innerWidth + room))
      outside.push(['svg', '', drawing.getAttribute('aria-label') || '', [Math.round(frame.left), 0, Math.round(frame.right - innerWidth), 0]]);
  }
  const clipped = [...document.querySelectorAll('body *')].filter(part => {
    const style = getComputedStyle(part);
    return part.children.length === 0 && part.textContent.trim() && style.overflowX === 'hidden' && style.textOverflow !== 'ellipsis'
      && part.clientWidth > 2 && part.scrollWidth > part.clientWidth + 1;
  }).map(part => [part.tagName, part.textContent.trim().slice(0, 40), part.className, [part.clientWidth, part.scrollWidth]]);
  document.body.setAttribute('data-geometry', JSON.stringify(
    {outside: outside.concat(clipped), marks, drawings, width: document.documentElement.scrollWidth, answers, answerBars}));
}, WAIT))</script>"""


def geometry(page, folder, chromium, width, height=900, dark=False, wait=0):
    """Of a page's text, in a window of this size: in a frame, as Chromium's own is never as narrow as a phone. `wait`: milliseconds until it is drawn."""
    (folder / "probe.html").write_text(page.replace("</body>", PROBE.replace("WAIT", str(wait)) + "</body>"))
    (folder / "frame.html").write_text(
        f"<!doctype html><body><iframe id=f src=probe.html width={width} height={height} style='border:0'></iframe><script>addEventListener('load', () => "
        f"setTimeout(() => document.body.setAttribute('data-geometry', document.getElementById('f').contentDocument.body.dataset.geometry), {wait + 500}))</script></body>")
    result = subprocess.run(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", f"--virtual-time-budget={wait + 3000}",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--user-data-dir={folder}/profile", f"--window-size={width + 200},{height + 200}",
         "--dump-dom", f"file://{folder}/frame.html"],
        capture_output=True, text=True, timeout=120)
    found = re.search(r'<body[^>]*data-geometry="([^"]*)"', result.stdout)
    assert found, result.stdout[:500] + result.stderr[-500:]
    return json.loads(html.unescape(found.group(1)))


def assert_drawn(page, folder, chromium, marks, width, dark=False, wait=0):
    """At least so many marks, all of them within their drawings, and no page wider than the window."""
    found = geometry(page, folder, chromium, width, dark=dark, wait=wait)
    assert found["marks"] >= marks, found
    assert not found["outside"], "\n".join(map(str, found["outside"]))
    assert found["width"] <= width, found["width"]
    return found
