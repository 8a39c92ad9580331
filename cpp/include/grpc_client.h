// The classic name of the gRPC client.
#pragma once

#include <queue>

#include "common.h"
#include "ipc.h"
#include "triton/client/grpc.h"
