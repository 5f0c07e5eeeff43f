"""Three times what the model can do, offered in an open loop: the excess is refused at once, what is taken is answered in time, and memory
stays where it was. HEADROOM_OVERLOAD_SECONDS lengthens it (the minute that reports speak of: 60)."""
import asyncio
import os
import time

import pytest
from serving import X, add, identity, infer_body, request, serve

SECONDS = float(os.environ.get("HEADROOM_OVERLOAD_SECONDS", "12"))
# Batches of at most 8 rows, 20 ms each: 400 rows per second.
CAPACITY = 400
QUEUE_TIMEOUT = 0.1
BATCH = 0.02
POLICY = (
    "dynamic_batching { default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 100000 max_queue_size: 64 } }\n")


async def answer(reader):
    """Status and body length of one answer."""
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := (await reader.readline()).strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return status


class OpenLoop:
    def __init__(self, server, data):
        self.server, self.data, self.free, self.results, self.lost = server, data, [], [], []

    async def one(self, due):
        try:
            connection = self.free.pop() if self.free else await asyncio.open_connection(self.server.host, self.server.http_port)
            reader, writer = connection
            sent = time.monotonic()
            writer.write(self.data)
            status = await asyncio.wait_for(answer(reader), 20)
            self.results.append((due, sent, time.monotonic(), status))
            self.free.append(connection)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, IndexError) as error:
            self.lost.append(repr(error))

    async def run(self, rate, seconds, watch):
        start, number, tasks = time.monotonic(), 0, set()
        while (now := time.monotonic() - start) < seconds:
            while number / rate <= now:
                task = asyncio.ensure_future(self.one(number / rate))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                number += 1
            watch(now)
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)
        for _, writer in self.free:
            writer.close()
        return number


@pytest.mark.alone
def test_three_times_the_capacity(tmp_path):
    add(tmp_path, "slow", identity("slow", [16], 8, POLICY, delay_ms=int(BATCH * 1000)))
    with serve(tmp_path) as server:
        memory = []

        def watch(now):
            if not memory or now - memory[-1][0] >= 0.5:
                memory.append((now, server.status_kilobytes("VmRSS")))

        loop = OpenLoop(server, request("POST", "/v2/models/slow/infer", infer_body(shape=[1, 16], data=X)))
        sent = asyncio.run(loop.run(3 * CAPACITY, SECONDS, watch))
        # Nothing accepted goes unanswered, and nothing else is said than yes and "unavailable".
        assert loop.lost == [] and len(loop.results) == sent
        good = [end - begin for _, begin, end, status in loop.results if status == 200]
        refused = [end - begin for _, begin, end, status in loop.results if status == 503]
        assert len(good) + len(refused) == sent, {status for *_, status in loop.results}
        # Refusing costs no throughput: what is possible is done.
        assert 0.8 * CAPACITY * SECONDS <= len(good) <= 1.1 * CAPACITY * SECONDS + 80
        # What is taken is answered before its deadline in the queue and a batch's time after it; the client's own delays come on top.
        good.sort()
        print(f"{sent} sent, {len(good)} good, {len(refused)} refused; good p50 {good[len(good) // 2] * 1e3:.0f} ms, "
              f"p99 {good[int(len(good) * 0.99)] * 1e3:.0f} ms; memory {memory[0][1]} to {memory[-1][1]} KB")
        assert good[int(len(good) * 0.99)] <= QUEUE_TIMEOUT + 2 * BATCH + 0.06
        # Bounded: after the first third it grows no more than noise (the ring of events, 128 bytes per request, is the rest).
        settled = next(kilobytes for now, kilobytes in memory if now >= SECONDS / 3)
        assert memory[-1][1] - settled <= 4096 + sent * 0.2, memory
        statistics = server.get("/v2/models/slow/stats").body.decode()
        assert '"fail"' in statistics


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-s"]))
