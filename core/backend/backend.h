#pragma once
// A backend answers three questions and has no other door: do you support this op with these attributes and types, bind it
// (try_bind answers both, for a library may take long to find a way); run it. Kernels are stateless between runs but for what bind prepared; a kernel object belongs to one
// thread. Operands and scratch lie in the memory of the backend's device.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend/device.h"
#include "core/ops/op.h"

namespace convoy {

/// An op as a backend sees it.
struct OpDesc {
  OpKind kind;
  Attributes attributes;
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  /// outputs[i] may be left unwritten where wanted[i] is false (empty: all are wanted).
  std::vector<bool> wanted;
};

struct KernelArguments {
  std::span<void* const> inputs;    // one per input of the op; an update op changes the memory of its inputs
  std::span<void* const> outputs;   // one per output; null where it is not wanted
  void* scratch = nullptr;          // scratch_bytes() bytes, 64-byte aligned, shared with all other kernels
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Memory needed while running, known at bind time.
  virtual std::size_t scratch_bytes() const { return 0; }
  /// On a host it has happened on return; on a device it is enqueued on the compute stream.
  virtual void run(const KernelArguments& arguments) = 0;
  /// "jit:avx512_core", "loop", ...: shown by bench and by errors.
  virtual std::string implementation() const { return "loop"; }
  /// Whether output `output` may lie in the memory of input `input` (both of one size). Where several pairs may, all may at once
  /// as long as no memory serves two of them.
  virtual bool runs_in_place(int /*input*/, int /*output*/) const { return false; }
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  /// Null where every candidate declines; *reasons is then why, each. `threads` that the kernel may use (1: it runs on the
  /// calling thread alone).
  virtual std::unique_ptr<Kernel> try_bind(const OpDesc& op, int threads, std::string* reasons) const = 0;
  /// The same, for callers that have no other way: throws UsageError with the reasons.
  std::unique_ptr<Kernel> bind(const OpDesc& op, int threads) const;
  /// The reasons, of a kernel that is bound for nothing else; empty: none.
  std::string declines(const OpDesc& op) const;
  /// One kernel for several neighbouring ops of a program (the updates of all parameters), or null: then each is bound
  /// by itself. Its arguments are the ops' inputs and outputs, one op after the other.
  virtual std::unique_ptr<Kernel> bind_together(std::span<const OpDesc> /*ops*/) const { return nullptr; }
  /// Where it computes. Lives as long as the backend.
  virtual Device& device() const = 0;
  /// The ways of computing that were chosen by timing (library engines per problem), as text; empty: none. Rank 0 binds
  /// first; the others adopt its choice before they bind, and so does a resumed run, so that all compute the same bits.
  virtual std::string plans() const { return {}; }
  virtual void adopt_plans(const std::string& /*plans*/) {}
  /// One line that whoever computes in this type should know; empty: nothing.
  virtual std::string advice(DType /*compute*/) const { return {}; }
  /// What must be the same for the same bits: instruction set, library versions. For the run record.
  virtual std::vector<std::pair<std::string, std::string>> identity() const = 0;
};

/// Plain loops in double precision: the oracle. Reals are f64.
std::unique_ptr<Backend> make_reference_backend();
/// oneDNN and our own vector code. Reals are f32.
std::unique_ptr<Backend> make_cpu_backend();

}  // namespace convoy
