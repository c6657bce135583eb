#pragma once
// CUDA's built-in vector types.
#include <cstdint>

#define CONVOY_EMULATED_VECTOR(Element, name, alignment2, alignment4)                            \
  struct name##1 { Element x; };                                                                 \
  struct alignas(alignment2) name##2 { Element x, y; };                                          \
  struct name##3 { Element x, y, z; };                                                           \
  struct alignas(alignment4) name##4 { Element x, y, z, w; };                                    \
  inline name##2 make_##name##2(Element x, Element y) { return {x, y}; }                         \
  inline name##3 make_##name##3(Element x, Element y, Element z) { return {x, y, z}; }           \
  inline name##4 make_##name##4(Element x, Element y, Element z, Element w) { return {x, y, z, w}; }

CONVOY_EMULATED_VECTOR(signed char, char, 2, 4)
CONVOY_EMULATED_VECTOR(unsigned char, uchar, 2, 4)
CONVOY_EMULATED_VECTOR(short, short, 4, 8)
CONVOY_EMULATED_VECTOR(unsigned short, ushort, 4, 8)
CONVOY_EMULATED_VECTOR(int, int, 8, 16)
CONVOY_EMULATED_VECTOR(unsigned int, uint, 8, 16)
CONVOY_EMULATED_VECTOR(long long, longlong, 16, 16)
CONVOY_EMULATED_VECTOR(unsigned long long, ulonglong, 16, 16)
CONVOY_EMULATED_VECTOR(float, float, 8, 16)
CONVOY_EMULATED_VECTOR(double, double, 16, 16)
#undef CONVOY_EMULATED_VECTOR

struct dim3 {
  unsigned int x = 1, y = 1, z = 1;
  constexpr dim3(unsigned int x_ = 1, unsigned int y_ = 1, unsigned int z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
