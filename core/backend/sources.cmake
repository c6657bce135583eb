set(backend_sources host_device.cpp module.cpp cuda_module.cpp timing.cpp)
