# Data sets on disk: HDF5, shards, importers, the loader.
set(datasets_sources
  crc32c.cpp
  files.cpp
  foreign_dataset.cpp
  hdf5.cpp
  hdf5_attributes.cpp
  parts_dataset.cpp
  sample_store.cpp
  shard.cpp
  shard_reader.cpp
  shard_writer.cpp
  sharded_dataset.cpp
  staging.cpp
  statistics.cpp
  import/byte_source.cpp
  import/cifar.cpp
  import/idx.cpp
  import/session.cpp)
set_source_files_properties(shard_writer.cpp PROPERTIES COMPILE_DEFINITIONS CONVOY_VERSION="${PROJECT_VERSION}")
