set(graph_sources graph.cpp graph_hash.cpp layer_names.cpp layers.cpp differentiate.cpp fuse.cpp fuse_chains.cpp lower_precision.cpp place_communication.cpp place_towers.cpp recompute.cpp recompute_choice.cpp
  op_groups.cpp plan_memory.cpp program.cpp program_text.cpp initialize.cpp)
