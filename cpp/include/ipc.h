// The classic name of CUDA's memory handles.
#pragma once

#include "triton/client/cuda_ipc.h"
