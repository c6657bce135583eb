# Data sets on disk: HDF5, shards, importers, the loader.
set(datasets_sources
  crc32c.cpp
  hdf5.cpp
  hdf5_attributes.cpp)
