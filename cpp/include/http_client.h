// The classic name of the HTTP client.
#pragma once

#include "common.h"
#include "ipc.h"
#include "triton/client/http.h"
