set(backend_sources host_device.cpp timing.cpp)
