#pragma once
// A copy of a checkpoint that shares nothing with it, into memory that is used again and again.
#include <cstdint>

#include "io/checkpoint.h"

namespace convoy {

/// Bytes of all tensors.
std::int64_t tensor_bytes(const Checkpoint& checkpoint);

/// Gives `copy` the tensors that `like` has: names, shapes and types, contents undefined. Storage of `copy` whose shape
/// and type fit already stays.
void shape_like(const Checkpoint& like, Checkpoint& copy);

/// Makes `copy` equal to `source`, tensors byte by byte. No tensor of `copy` may share storage with `source`. Allocates
/// no tensor where `copy` was copied from a checkpoint of the same model before. Large ones are copied by several threads.
void copy_into(const Checkpoint& source, Checkpoint& copy);

}  // namespace convoy
