// The process's file: what is known of the recording, and blocks of records.
#pragma once
#include <stddef.h>

#include "include/CCUDAInjection.h"
#include "text_and_time.h"

extern struct cudacapture_control *control;
// As it will stand in the file; written by `capture_write_header`.
extern struct cudacapture_header header;

// Finds the folder, makes the file. 0 where nobody asked for a recording.
int capture_open(void);
// Makes a further file in the same folder, for a recording that follows another one.
int capture_open_file(void);
// In a forked child: the file is the parent's.
void capture_forget(void);
void capture_write_header(void);
// Appends a block; 0 where there is no room, and from then on.
int capture_append(const void *block, size_t bytes);
