#include "CKernels.h"
#include "half.h"
#include "levels.h"

// What every processor of the architecture runs.
#define TARGET
#define TILE_ROWS 4
#define NAME(x) portable_##x
#include "elementwise.inc"

static inline float portable_widened(uint16_t half) { return float_from_half(half); }
#include "tiles.inc"
