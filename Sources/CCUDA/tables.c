#include <dlfcn.h>
#include <string.h>

#include "CCUDA.h"

// A function's address comes as a pointer to data; POSIX promises that the copy is the function.
#define HEADROOM_FILL(result, name, parameters)  \
  do {                                           \
    void *symbol = dlsym(library, #name);        \
    if (symbol == NULL) return #name;            \
    memcpy((void *)&table->name, &symbol, sizeof symbol); \
  } while (0);

const char *headroom_cuda_fill_driver(void *library, HRDriverTable *table) {
  HEADROOM_DRIVER_FUNCTIONS(HEADROOM_FILL)
  return NULL;
}

const char *headroom_cuda_fill_blas(void *library, HRBlasTable *table) {
  HEADROOM_BLAS_FUNCTIONS(HEADROOM_FILL)
  return NULL;
}

const char *headroom_cuda_fill_compiler(void *library, HRCompilerTable *table) {
  HEADROOM_COMPILER_FUNCTIONS(HEADROOM_FILL)
  return NULL;
}

const char *headroom_cuda_fill_management(void *library, HRManagementTable *table) {
  HEADROOM_MANAGEMENT_FUNCTIONS(HEADROOM_FILL)
  return NULL;
}

const char *headroom_cuda_fill_activity(void *library, HRActivityTable *table) {
  HEADROOM_ACTIVITY_FUNCTIONS(HEADROOM_FILL)
  return NULL;
}
