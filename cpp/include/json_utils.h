// The classic name of JSON parsing.
#pragma once

#include "common.h"
#include "triton/client/json.h"
