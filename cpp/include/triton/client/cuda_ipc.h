// The handle of a CUDA allocation that another process can open.
#pragma once

#ifdef TRITON_ENABLE_GPU
#include <cuda_runtime_api.h>
#elif !defined(__CUDA_RUNTIME_API_H__) && !defined(__DRIVER_TYPES_H__)
/// As large as CUDA's own (CUDA_IPC_HANDLE_SIZE), so that handles from elsewhere can be passed on.
typedef struct cudaIpcMemHandle_st {
  char reserved[64];
} cudaIpcMemHandle_t;
#endif
