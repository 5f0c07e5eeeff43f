"""Whether the machine is quiet: what other programs than this test run took of the processors, by the kernel's own account."""
import contextlib
import os
import pathlib
import time

TICKS = os.sysconf("SC_CLK_TCK")
# A test of times needs a core for what is measured and one for who measures.
NEEDED = min(2, len(os.sched_getaffinity(0)))


def _stat(pid):
    """Parent, and ticks of a process and of its children that were waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), sum(map(int, fields[11:15]))


def _own_ticks():
    """Ticks of this process and all its descendants."""
    parents, ticks = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry)], ticks[int(entry)] = _stat(entry)
    children = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    total, todo = 0, [os.getpid()]
    while todo:
        pid = todo.pop()
        total += ticks.get(pid, 0)
        todo += children.get(pid, [])
    return total


def _machine():
    """Cores, and ticks in which one of them was not idle, the hypervisor's included."""
    lines = pathlib.Path("/proc/stat").read_text().splitlines()
    fields = list(map(int, lines[0].split()[1:]))
    user, nice, system, _, _, interrupts, soft, steal = fields[:8]
    return sum(line.startswith("cpu") for line in lines) - 1, user + nice + system + interrupts + soft + steal


class Watch:
    """Counts from now on."""

    def __init__(self):
        self.began = time.monotonic()
        self.cores, self.machine = _machine()
        self.own = _own_ticks()

    def others(self):
        """Cores that others used on average, since the watch began."""
        machine = _machine()[1]
        seconds = max(time.monotonic() - self.began, 1 / TICKS)
        return max(0.0, (machine - self.machine - (_own_ticks() - self.own)) / TICKS / seconds)

    def busy(self):
        """What others used, in words, if that leaves too little; else None."""
        others = self.others()
        if self.cores - others >= 0.85 * NEEDED:
            return None
        return f"other programs took {others:.1f} of {self.cores} cores"


def wait(seconds):
    """Waits so long at most for a quiet third of a second; None, or what keeps the machine busy."""
    end = time.monotonic() + seconds
    while True:
        watch = Watch()
        # What is measured is this stretch of time.
        time.sleep(0.3)
        reason = watch.busy()
        if reason is None or time.monotonic() > end:
            return reason
