# CUDA::cudart: from CUDA's toolkit, or from a folder that has nothing but the header and the runtime
# library, such as nvidia/cu13 of the Python packages nvidia-cuda-runtime and nvidia-cuda-crt.
# CUDAToolkit_ROOT says where either is.
if(NOT TARGET CUDA::cudart)
  find_package(CUDAToolkit QUIET)
endif()
if(NOT TARGET CUDA::cudart)
  find_path(CUDA_RUNTIME_INCLUDE_DIR crt/host_defines.h
    HINTS ${CUDAToolkit_ROOT} ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES include)
  find_library(CUDA_RUNTIME_LIBRARY NAMES cudart libcudart.so.13 libcudart.so.12
    HINTS ${CUDAToolkit_ROOT} ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES lib lib64)
  mark_as_advanced(CUDA_RUNTIME_INCLUDE_DIR CUDA_RUNTIME_LIBRARY)
  if(CUDA_RUNTIME_INCLUDE_DIR AND CUDA_RUNTIME_LIBRARY)
    add_library(CUDA::cudart UNKNOWN IMPORTED)
    set_target_properties(CUDA::cudart PROPERTIES IMPORTED_LOCATION "${CUDA_RUNTIME_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${CUDA_RUNTIME_INCLUDE_DIR}"
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${CUDA_RUNTIME_INCLUDE_DIR}")
  endif()
endif()
