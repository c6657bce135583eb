set(graph_sources initialize.cpp)
