// The library's life in a process.
#pragma once

// Makes the process's file and starts the thread that writes it, once. 0 where nobody asked for a recording, or it is over.
int capture_prepare(void);
// Whether what happens now is to be written down.
int capture_is_recording(void);
