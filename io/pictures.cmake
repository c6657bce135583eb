set(pictures_sources png.cpp)
