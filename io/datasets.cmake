# Data sets on disk: HDF5, shards, importers, the loader.
set(datasets_sources
  batch_ring.cpp
  batch_source.cpp
  bench_loader.cpp
  color_sums.cpp
  crc32c.cpp
  encoded_shard.cpp
  files.cpp
  foreign_dataset.cpp
  hdf5.cpp
  hdf5_attributes.cpp
  hdf5_contents.cpp
  hdf5_reader.cpp
  inside.cpp
  inspect.cpp
  jpeg.cpp
  ledger.cpp
  library_version.cpp
  loader.cpp
  partial_file.cpp
  parts_dataset.cpp
  picture_bytes.cpp
  rehearsal.cpp
  resample.cpp
  sample_order.cpp
  sample_store.cpp
  shard.cpp
  shard_reader.cpp
  shard_writer.cpp
  sharded_dataset.cpp
  staging.cpp
  statistics.cpp
  viewed_dataset.cpp
  import/byte_source.cpp
  import/cifar.cpp
  import/folder_scan.cpp
  import/idx.cpp
  import/image_folder.cpp
  import/importers.cpp
  import/session.cpp)
set_source_files_properties(shard_writer.cpp PROPERTIES COMPILE_DEFINITIONS CONVOY_VERSION="${PROJECT_VERSION}")
# GCC's second scheduling pass pulls the two kinds of work in crc32c's main loop apart, which costs 15 % of its speed.
set_source_files_properties(crc32c.cpp PROPERTIES COMPILE_OPTIONS "$<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns2>")
