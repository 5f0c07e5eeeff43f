// CUPTI's side of a recording.
#pragma once

// Finds libcupti, takes CUPTI over and asks for records. `driver` is a handle of the driver's library. 0 where it cannot be; the header says why.
int activity_start(void *driver);
// Asks for what is finished, and writes what came. One thread at a time.
void activity_flush(void);
// Asks for everything, stops the recording and writes what came. `is_exit`: CUPTI is left as it is, the process ends.
void activity_stop(int is_exit);
// In a forked child: CUPTI is not to be called again.
void activity_forked(void);
