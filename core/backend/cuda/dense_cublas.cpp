// Dense layers and their gradients by cuBLASLt, whose matrices are column-major: an array [rows, columns] of ours is its
// columns x rows matrix. Sums are f32 (their factors rounded to TF32 only where asked); an algorithm that splits them keeps
// the parts in its workspace and adds them in a fixed order.
//
// Beside narrow data the bias is f32: y is then made in f32, with its bias, and rounded once by our own kernel. The bias'
// gradient is our own sum, and ReLU our own kernel: cuBLASLt's makes 0 of what is not a number.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/backend/cuda/libraries.h"
#include "core/backend/cuda/sub_kernel.h"
#include "core/backend/cuda/trial.h"
#include "core/tensor/error.h"

namespace convoy::cuda {
namespace {

constexpr int kCandidates = 8;
// Operands begin at multiples of 16 bytes.
constexpr std::uint32_t kAlignment = 16;

/// result (m x n) = op(a) op(b), column-major: a is m x k, or k x m where transposed; b is k x n, or n x k.
struct MatrixProblem {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  DType data = DType::f32, result = DType::f32;
  bool bias = false;  // f32 [m] on every column
  bool tf32 = false;
};

std::string key_of(const MatrixProblem& p) {
  return fmt::format("matmul {}{} to={} m={} n={} k={} {}{}{}", name_of(p.data), p.tf32 ? " tf32" : "", name_of(p.result), p.m,
                     p.n, p.k, p.transpose_a ? 't' : 'n', p.transpose_b ? 't' : 'n', p.bias ? " bias" : "");
}

cudaDataType_t type_of(DType type) {
  return type == DType::bf16 ? CUDA_R_16BF : type == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

/// Owner of one of cuBLASLt's descriptors.
template <typename T, auto Destroy>
class Owner {
 public:
  explicit Owner(T raw) : raw_(raw) {}
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() { static_cast<void>(Destroy(raw_)); }
  T get() const { return raw_; }

 private:
  T raw_;
};
using LayoutOwner = Owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using MatmulOwner = Owner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using PreferenceOwner = Owner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cublasLtMatrixLayout_t make_layout(DType type, std::int64_t rows, std::int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  CONVOY_CUBLAS(cublasLtMatrixLayoutCreate(&layout, type_of(type), static_cast<std::uint64_t>(rows),
                                           static_cast<std::uint64_t>(columns), rows));
  return layout;
}

cublasLtMatmulDesc_t make_matmul(const MatrixProblem& p) {
  cublasLtMatmulDesc_t matmul = nullptr;
  CONVOY_CUBLAS(cublasLtMatmulDescCreate(&matmul, p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
  return matmul;
}

cublasLtMatmulPreference_t make_preference() {
  cublasLtMatmulPreference_t preference = nullptr;
  CONVOY_CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
  return preference;
}

/// An algorithm is 64 opaque bytes, which its library's own version reads back; as text "algorithm=" and their digits.
constexpr std::string_view kAlgorithm = "algorithm=";
static_assert(sizeof(cublasLtMatmulAlgo_t) == 64);

std::string text_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::array<unsigned char, sizeof algorithm> bytes{};
  std::memcpy(bytes.data(), &algorithm, sizeof algorithm);
  std::string text(kAlgorithm);
  for (unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::optional<cublasLtMatmulAlgo_t> algorithm_from(const std::string& text) {
  std::array<unsigned char, sizeof(cublasLtMatmulAlgo_t)> bytes{};
  if (!text.starts_with(kAlgorithm) || text.size() != kAlgorithm.size() + 2 * bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::string digits = text.substr(kAlgorithm.size() + 2 * i, 2);
    if (digits.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
    bytes[i] = static_cast<unsigned char>(std::stoi(digits, nullptr, 16));
  }
  cublasLtMatmulAlgo_t algorithm;
  std::memcpy(&algorithm, bytes.data(), sizeof algorithm);
  return algorithm;
}

class Matmul {
 public:
  /// Null where cuBLASLt has no algorithm.
  static std::unique_ptr<Matmul> make(Libraries& libraries, const MatrixProblem& problem) {
    auto matmul = std::unique_ptr<Matmul>(new Matmul(libraries, problem));
    const auto take = [&](const std::string& text) { return matmul->take(text); };
    const std::string text = libraries.plan_for(key_of(problem), take, [&] { return matmul->time_algorithms(); });
    return !text.empty() && matmul->take(text) ? std::move(matmul) : nullptr;
  }

  std::size_t workspace_bytes() const { return workspace_bytes_; }

  void run(const void* a, const void* b, const void* bias, void* result, void* workspace) {
    run_with(algorithm_, a, b, bias, result, workspace, workspace_bytes_);
  }

 private:
  Matmul(Libraries& libraries, const MatrixProblem& p)
      : libraries_(libraries),
        problem_(p),
        matmul_(make_matmul(p)),
        a_(make_layout(p.data, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k)),
        b_(make_layout(p.data, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n)),
        result_(make_layout(p.result, p.m, p.n)) {
    const cublasOperation_t a = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, b = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, a);
    set(CUBLASLT_MATMUL_DESC_TRANSB, b);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, p.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT);
    if (!p.bias) return;
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
    // Until run() gives the bias: where heuristics look at a pointer, they look at its alignment.
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<const void*>(std::uintptr_t{kAlignment}));
  }

  template <typename T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    CONVOY_CUBLAS(cublasLtMatmulDescSetAttribute(matmul_.get(), attribute, &value, sizeof value));
  }

  bool take(const std::string& text) {
    const auto algorithm = algorithm_from(text);
    cublasLtMatmulHeuristicResult_t checked{};
    if (!algorithm || cublasLtMatmulAlgoCheck(libraries_.cublas(), matmul_.get(), a_.get(), b_.get(), result_.get(),
                                              result_.get(), &*algorithm, &checked) != CUBLAS_STATUS_SUCCESS)
      return false;
    algorithm_ = *algorithm;
    workspace_bytes_ = checked.workspaceSize;
    return workspace_bytes_ <= libraries_.workspace_limit();
  }

  std::vector<cublasLtMatmulHeuristicResult_t> proposals() const {
    const PreferenceOwner preference(make_preference());
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      CONVOY_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(libraries_.workspace_limit()));
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(attribute, kAlignment);
    std::vector<cublasLtMatmulHeuristicResult_t> found(kCandidates);
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(libraries_.cublas(), matmul_.get(), a_.get(), b_.get(), result_.get(), result_.get(),
                                       preference.get(), kCandidates, found.data(), &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
    CONVOY_CUBLAS(status);
    found.resize(static_cast<std::size_t>(count));
    std::erase_if(found, [](const auto& each) { return each.state != CUBLAS_STATUS_SUCCESS; });
    return found;
  }

  /// Text of the fastest; empty where there is none. Without room for a trial, the first.
  std::string time_algorithms() {
    const auto found = proposals();
    if (found.empty()) return {};
    const MatrixProblem& p = problem_;
    std::size_t workspace_bytes = 0;
    for (const auto& each : found) workspace_bytes = std::max(workspace_bytes, each.workspaceSize);
    const auto memory = [&](DType type, std::int64_t elements) {
      return TrialMemory(type, static_cast<std::size_t>(elements), libraries_.stream());
    };
    const TrialMemory a = memory(p.data, p.m * p.k), b = memory(p.data, p.k * p.n), bias = memory(DType::f32, p.m),
                      result = memory(p.result, p.m * p.n), workspace(workspace_bytes);
    for (const TrialMemory* each : {&a, &b, &bias, &result, &workspace})
      if (each->get() == nullptr) return text_of(found.front().algo);
    std::vector<std::function<void()>> runs;
    for (const auto& each : found)
      runs.emplace_back([&] {
        run_with(each.algo, a.get(), b.get(), bias.get(), result.get(), workspace.get(), each.workspaceSize);
      });
    const int best = fastest(libraries_.stream(), runs, result);
    return best < 0 ? std::string() : text_of(found[static_cast<std::size_t>(best)].algo);
  }

  void run_with(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, const void* bias, void* result,
                void* workspace, std::size_t workspace_bytes) {
    if (problem_.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    const float one = 1, zero = 0;
    CONVOY_CUBLAS(cublasLtMatmul(libraries_.cublas(), matmul_.get(), &one, a, a_.get(), b, b_.get(), &zero, result, result_.get(),
                                 result, result_.get(), &algorithm, workspace, workspace_bytes, libraries_.stream()));
  }

  Libraries& libraries_;
  MatrixProblem problem_;
  MatmulOwner matmul_;
  LayoutOwner a_, b_, result_;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspace_bytes_ = 0;
};

/// x [n, f], weights [units, f], y [n, units]: as column-major matrices f x n, f x units, units x n.
MatrixProblem problem_of(const OpDesc& op, bool tf32) {
  const auto& attributes = std::get<DenseAttributes>(op.attributes);
  MatrixProblem p{.data = op.inputs[0].dtype, .result = op.outputs[0].dtype};
  p.tf32 = tf32 && p.data == DType::f32;
  const Shape &first = op.inputs[0].shape, &second = op.inputs[1].shape;
  switch (op.kind) {
    case OpKind::dense_backward_data:     // dx = weights dy
      p.m = second[1];
      p.n = first[0];
      p.k = attributes.units;
      break;
    case OpKind::dense_backward_weights:  // dweights = x dy^T
      p.m = first[1];
      p.n = attributes.units;
      p.k = first[0];
      p.transpose_b = true;
      break;
    default:                              // y = weights^T x
      p.m = attributes.units;
      p.n = first[0];
      p.k = first[1];
      p.transpose_a = true;
      p.bias = op.inputs.size() > 2;
      if (p.bias) p.result = DType::f32;
  }
  return p;
}

class DenseKernel final : public Kernel {
 public:
  static Bound make(const Context& context, const OpDesc& op, std::string* reason) {
    auto kernel = std::unique_ptr<DenseKernel>(new DenseKernel);
    const MatrixProblem problem = problem_of(op, context.tf32);
    kernel->kind_ = op.kind;
    kernel->bias_ = problem.bias;
    kernel->matmul_ = Matmul::make(*context.libraries, problem);
    if (kernel->matmul_ == nullptr) return *reason = "cuBLASLt has no algorithm for " + key_of(problem), nullptr;
    std::size_t shared = 0;
    if (problem.result != op.outputs[0].dtype) {
      const TensorDesc& y = op.outputs[0];
      kernel->round_ = bind_cast(context, {OpKind::cast, CastAttributes{y.dtype}, {{y.shape, problem.result}}, {y}, {}}, reason);
      if (kernel->round_ == nullptr) return nullptr;
      kernel->wide_ = kernel->scratch_.take(static_cast<std::size_t>(y.shape.elements()) * size_of(problem.result));
      shared = kernel->round_->scratch_bytes();
    }
    if (op.kind == OpKind::dense && std::get<DenseAttributes>(op.attributes).activation == ActivationKind::relu) {
      const TensorDesc& y = op.outputs[0];
      kernel->relu_ = bind_activation(context, {OpKind::activation, ActivationAttributes{ActivationKind::relu}, {y}, {y}, {}}, reason);
      if (kernel->relu_ == nullptr) return nullptr;
      if (!kernel->relu_->runs_in_place(0, 0)) return *reason = "ReLU does not run in place", nullptr;
      shared = std::max(shared, kernel->relu_->scratch_bytes());
    }
    if (op.outputs.size() > 1 && (op.wanted.empty() || op.wanted[1])) {
      kernel->bias_sum_ = bind_channel_sum(context, {OpKind::sum_to_channels, {}, {op.inputs[1]}, {op.outputs[1]}, {}}, reason);
      if (kernel->bias_sum_ == nullptr) return nullptr;
      shared = std::max(shared, kernel->bias_sum_->scratch_bytes());
    }
    kernel->workspace_ = kernel->scratch_.take(kernel->matmul_->workspace_bytes());
    kernel->shared_ = kernel->scratch_.take(shared);
    return kernel;
  }

  std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  std::string implementation() const override { return bias_ ? "cublaslt+bias" : "cublaslt"; }

  void run(const KernelArguments& arguments) override {
    void *scratch = arguments.scratch, *result = arguments.outputs[0];
    if (bias_sum_ && arguments.outputs[1] != nullptr)
      run_kernel(*bias_sum_, {arguments.inputs[1]}, {arguments.outputs[1]}, piece(scratch, shared_));
    if (result == nullptr) return;
    // forward: weights, x; backward data: weights, dy; backward weights: x, dy
    const bool swapped = kind_ != OpKind::dense_backward_weights;
    void* product = round_ ? piece(scratch, wide_) : result;
    matmul_->run(arguments.inputs[swapped ? 1 : 0], arguments.inputs[swapped ? 0 : 1], bias_ ? arguments.inputs[2] : nullptr,
                 product, piece(scratch, workspace_));
    if (round_) run_kernel(*round_, {product}, {result}, piece(scratch, shared_));
    if (relu_) run_kernel(*relu_, {result}, {result}, piece(scratch, shared_));
  }

 private:
  OpKind kind_ = OpKind::dense;
  bool bias_ = false;
  std::unique_ptr<Matmul> matmul_;
  Bound round_, relu_, bias_sum_;
  ScratchPlan scratch_;
  std::size_t wide_ = 0, workspace_ = 0, shared_ = 0;
};

}  // namespace

Bound bind_dense_cublas(const Context& context, const OpDesc& op, std::string* reason) {
  if (context.libraries == nullptr) return *reason = "there is no cuBLASLt", nullptr;
  return DenseKernel::make(context, op, reason);
}

}  // namespace convoy::cuda
