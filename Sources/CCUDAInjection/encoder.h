// Activity records on their way into blocks.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Writes one record of CUPTI's, of whatever kind. `name_of` gives the name of a call.
void encode_record(const void *record, const char *(*name_of)(uint32_t domain, uint32_t number));
// Writes one annotated range.
void encode_range(uint32_t type, uint32_t domain, uint32_t thread, uint64_t start, uint64_t end, const char *text, size_t bytes);
// Writes the block begun so far into the file.
void encode_flush(void);
// In a forked child: what was said once was said in another file.
void encode_forget(void);
