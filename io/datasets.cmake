# Data sets on disk: HDF5, shards, importers, the loader.
set(datasets_sources
  crc32c.cpp
  files.cpp
  hdf5.cpp
  hdf5_attributes.cpp
  shard.cpp
  shard_writer.cpp
  statistics.cpp
  import/byte_source.cpp
  import/cifar.cpp
  import/idx.cpp
  import/session.cpp)
set_source_files_properties(shard_writer.cpp PROPERTIES COMPILE_DEFINITIONS CONVOY_VERSION="${PROJECT_VERSION}")
