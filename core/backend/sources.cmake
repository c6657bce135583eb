set(backend_sources host_device.cpp)
