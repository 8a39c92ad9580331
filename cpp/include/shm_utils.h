// The classic name of shared memory.
#pragma once

#include "common.h"
#include "triton/client/shm.h"
