// NVIDIA's libraries as they are used here, loaded at run time.
#pragma once
#include "cuda_activity.h"
#include "cuda_driver.h"
#include "cuda_libraries.h"

/// Each fills a table from a library that `dlopen` gave. Returns NULL, or the name of the first function that the library lacks; the table is
/// not to be used then.
const char *headroom_cuda_fill_driver(void *library, HRDriverTable *table);
const char *headroom_cuda_fill_blas(void *library, HRBlasTable *table);
const char *headroom_cuda_fill_compiler(void *library, HRCompilerTable *table);
const char *headroom_cuda_fill_management(void *library, HRManagementTable *table);
const char *headroom_cuda_fill_activity(void *library, HRActivityTable *table);
