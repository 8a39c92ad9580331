// The classic name of what both clients share. A program that defines
// TRITON_INFERENCE_SERVER_CLIENT_CLASS before makes that class a friend of InferInput and
// InferRequestedOutput.
#pragma once

// Programs rely on these being there.
#include <algorithm>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "triton/client/client.h"
#include "triton/client/error.h"
#include "triton/client/front.h"
#include "triton/client/options.h"
#include "triton/client/result.h"
#include "triton/client/tensor.h"
