// The buffers that CUPTI fills. It asks for them and gives them back inside the program's own calls: both take and hand over, nothing more.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cuda_activity.h"

struct buffer {
  uint8_t *bytes;
  size_t valid;
  struct buffer *next;
};

void buffers_request(uint8_t **bytes, size_t *size, size_t *maximum_records);
void buffers_complete(HRContext context, uint32_t stream, uint8_t *bytes, size_t size, size_t valid);
// The one that was given back first; NULL for none.
struct buffer *buffers_next(void);
// Done with: it may be filled again.
void buffers_return(struct buffer *buffer);
// Given out and not given back.
uint64_t buffers_outstanding(void);
void buffers_count(uint64_t *discarded, uint64_t *discarded_bytes);
// Counts anew: another recording begins.
void buffers_begin_count(void);
void buffers_forked(void);
