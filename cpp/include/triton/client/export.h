// What the shared libraries export; everything else in them is hidden.
#pragma once

#if defined(_WIN32)
#define TRITON_CLIENT_API
#else
#define TRITON_CLIENT_API __attribute__((visibility("default")))
#endif
