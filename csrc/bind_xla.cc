// XLA buffers -> engine, through the typed FFI. The Python side is `bothways/layers/ops/jax/custom_call.py`, which
// gives the operands in the same order.

#include "bind_xla.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "engine.h"
#include "threads.h"
#include "xla/ffi/api/ffi.h"

namespace nb = nanobind;
namespace ffi = xla::ffi;

namespace bothways {
namespace {

using F32 = ffi::Buffer<ffi::F32>;
using U32 = ffi::Buffer<ffi::U32>;
using Integers = ffi::Span<const int64_t>;

// Hands out operands and results one after the other, and remembers the first that is not as it should be.
class Operands {
 public:
  Operands(ffi::RemainingArgs args, ffi::RemainingRets rets) : args_(args), rets_(rets) {}

  const float* next(int64_t size) { return checked<ffi::F32>(args_.get<F32>(arg_), size, "operand", arg_); }

  Floats next_array() {
    const auto buffer = args_.get<F32>(arg_);
    const int64_t count = buffer.has_value() ? static_cast<int64_t>(buffer.value().element_count()) : 0;
    return {next(count), count};
  }

  const uint8_t* next_mask(int64_t size) {
    return reinterpret_cast<const uint8_t*>(
        checked<ffi::PRED>(args_.get<ffi::Buffer<ffi::PRED>>(arg_), size, "operand", arg_));
  }

  float* next_result(int64_t size) { return checked_result<ffi::F32>(size); }

  // Residuals are floats that stand in integers: parts of them are never written, and `jax_debug_nans` would take such
  // for results.
  const float* next_residuals(int64_t size) {
    return reinterpret_cast<const float*>(checked<ffi::U32>(args_.get<U32>(arg_), size, "operand", arg_));
  }
  float* next_residuals_result(int64_t size) { return reinterpret_cast<float*>(checked_result<ffi::U32>(size)); }

  // A digest stands in integers that JAX always has.
  void next_digest(Digest& digest) {
    const uint32_t* halves = checked<ffi::U32>(args_.get<U32>(arg_), kHalves, "operand", arg_);
    if (halves) std::memcpy(&digest, halves, sizeof(digest));
  }
  uint32_t* next_digest_result() { return checked_result<ffi::U32>(kHalves); }

  // Call it when all have been handed out.
  bool all_used() {
    if (good() && arg_ != args_.size()) fail("operand", arg_, "is not expected");
    if (good() && ret_ != rets_.size()) fail("result", ret_, "is not expected");
    return good();
  }

  bool good() const { return error_.empty(); }
  ffi::Error error() const { return ffi::Error(ffi::ErrorCode::kInvalidArgument, error_); }

 private:
  template <ffi::DataType kType>
  ffi::NativeType<kType>* checked_result(int64_t size) {
    auto result = rets_.get<ffi::Buffer<kType>>(ret_);
    if (!result.has_value()) return fail("result", ret_);
    return checked<kType>(ffi::ErrorOr<ffi::Buffer<kType>>(*result.value()), size, "result", ret_);
  }

  template <ffi::DataType kType>
  ffi::NativeType<kType>* checked(ffi::ErrorOr<ffi::Buffer<kType>> buffer, int64_t size, const char* kind, size_t& i) {
    if (!buffer.has_value() || static_cast<int64_t>(buffer.value().element_count()) != size) {
      fail(kind, i);
      return nullptr;
    }
    ++i;
    return buffer.value().typed_data();
  }

  static constexpr int64_t kHalves = sizeof(Digest) / sizeof(uint32_t);

  std::nullptr_t fail(const char* kind, size_t i, const char* what = "has the wrong type or size") {
    if (good()) error_ = "bothways: " + std::string(kind) + " " + std::to_string(i) + " " + what;
    return nullptr;
  }

  ffi::RemainingArgs args_;
  ffi::RemainingRets rets_;
  size_t arg_ = 0, ret_ = 0;
  std::string error_;
};

// What both handlers are told by attributes; one entry a direction in each span.
struct Attributes {
  Integers cells, units, reverse;
  Integers dropouts;  // 1: of x by gate, 2: of h, 4: of x for all gates
  bool masked, zero_output_for_mask;
  int64_t precision;
  bool gradients;  // whether there is a backward pass
};

// A call as XLA makes it, which is checked as it is read.
class XlaCall {
 public:
  XlaCall(F32 x, ffi::RemainingArgs args, ffi::RemainingRets rets, const Attributes& a) : operands(args, rets) {
    const auto shape = x.dimensions();
    call.count = static_cast<int>(a.units.size());
    valid_ = shape.size() == 3 && call.count >= 1 && call.count <= kMaxDirections && a.cells.size() == a.units.size() &&
             a.reverse.size() == a.units.size() && a.dropouts.size() == a.units.size() &&
             known_precision(a.precision) && countable(shape[0], shape[1], shape[2], 1);
    if (!valid_) return;
    Input& input = call.input;
    input = {shape[0],
             shape[1],
             shape[2],
             x.typed_data(),
             nullptr,
             a.zero_output_for_mask,
             static_cast<Precision>(a.precision),
             {}};
    if (a.masked) input.mask = operands.next_mask(input.batch * input.time);
    for (int i = 0; i < call.count; ++i) {
      Direction& d = call.directions[i];
      valid_ = valid_ && set_cell(d, a.cells[i]) && countable(input.batch, input.time, input.features, a.units[i]) &&
               (input.precision != Precision::kInt8 || (!a.gradients && a.dropouts[i] == 0));
      if (!valid_) return;
      d.units = a.units[i];
      d.reverse = a.reverse[i] != 0;
      d.same_dropout = a.dropouts[i] & 4;
    }
  }

  bool good() const { return valid_ && operands.good(); }
  ffi::Error error() const {
    if (valid_) return operands.error();
    return ffi::Error(ffi::ErrorCode::kInvalidArgument,
                      "bothways: x needs 3 axes, and there are 1 or 2 directions of known cells and possible sizes; "
                      "int8 has no backward pass and no dropout");
  }

  // Takes the operands of dropout that there are.
  void next_dropout(Direction& d, int64_t dropouts) {
    const Sizes sizes = sizes_of(call.input, d);
    if (dropouts & 5) d.dropout = operands.next(sizes.dropout);
    if (dropouts & 2) d.recurrent_dropout = operands.next(sizes.recurrent_dropout);
  }

  Operands operands;
  Call call{};

 private:
  bool valid_ = false;
};

// XLA is no place for exceptions.
template <class Run>
ffi::Error unless_memory_is_short(const Run& run) {
  try {
    run();
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "bothways: there is too little memory");
  }
  return ffi::Error::Success();
}

ffi::Error wrong_residuals() {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument,
                    std::string("bothways: the residuals were left by another instruction set than ") +
                        instruction_set() + ", which is in use now: choose it before the forward pass");
}

// x, [mask], then for each direction kernel, recurrent_kernel, bias, initial states, [dropout], [recurrent_dropout],
// [digest]
//   -> [outputs], then for each direction final states, [residuals]
ffi::Error xla_forward(F32 x, ffi::RemainingArgs args, ffi::RemainingRets rets, Integers cells, Integers units,
                       Integers reverse, Integers dropouts, bool masked, bool zero_output_for_mask, int64_t precision,
                       bool sequences, bool with_residuals, bool with_digests) {
  XlaCall of(x, args, rets, {cells, units, reverse, dropouts, masked, zero_output_for_mask, precision, with_residuals});
  if (!of.good()) return of.error();
  Call& call = of.call;
  Operands& operands = of.operands;
  float* outputs = sequences ? operands.next_result(outputs_size(call)) : nullptr;
  DirectionOutputs results[kMaxDirections] = {};
  Digest digests[kMaxDirections];
  for (int i = 0; i < call.count; ++i) {
    Direction& d = call.directions[i];
    const Sizes sizes = sizes_of(call.input, d);
    const int states = shape_of(d.cell).states;
    d.kernel = operands.next(sizes.kernel);
    d.recurrent_kernel = operands.next(sizes.recurrent_kernel);
    d.bias = operands.next(sizes.bias);
    for (int s = 0; s < states; ++s) d.initial_states[s] = operands.next(sizes.state);
    of.next_dropout(d, dropouts[i]);
    if (with_digests) {
      operands.next_digest(digests[i]);
      d.digest = &digests[i];
    }
    for (int s = 0; s < states; ++s) results[i].final_states[s] = operands.next_result(sizes.state);
    if (with_residuals) results[i].residuals = operands.next_residuals_result(residual_floats(call.input, d));
  }
  if (!operands.all_used()) return operands.error();
  return unless_memory_is_short([&] { forward(call, outputs, results); });
}

// x, [mask], [d_outputs], then for each direction kernel, recurrent_kernel, [dropout], [recurrent_dropout], residuals,
// d_final states
//   -> [d_x], then for each direction residuals (aliased), d_kernel, d_recurrent_kernel, d_bias, d_initial states
ffi::Error xla_backward(F32 x, ffi::RemainingArgs args, ffi::RemainingRets rets, Integers cells, Integers units,
                        Integers reverse, Integers dropouts, bool masked, bool zero_output_for_mask, int64_t precision,
                        bool sequences, bool wants_d_x) {
  XlaCall of(x, args, rets, {cells, units, reverse, dropouts, masked, zero_output_for_mask, precision, true});
  if (!of.good()) return of.error();
  Call& call = of.call;
  Operands& operands = of.operands;
  const float* d_outputs = sequences ? operands.next(outputs_size(call)) : nullptr;
  float* d_x = wants_d_x ? operands.next_result(x_size(call.input)) : nullptr;
  DirectionGradients results[kMaxDirections] = {};
  for (int i = 0; i < call.count; ++i) {
    Direction& d = call.directions[i];
    DirectionGradients& g = results[i];
    const Sizes sizes = sizes_of(call.input, d);
    const int states = shape_of(d.cell).states;
    d.kernel = operands.next(sizes.kernel);
    d.recurrent_kernel = operands.next(sizes.recurrent_kernel);
    of.next_dropout(d, dropouts[i]);
    const int64_t residuals_size = residual_floats(call.input, d);
    const float* residuals = operands.next_residuals(residuals_size);
    for (int s = 0; s < states; ++s) g.d_final_states[s] = operands.next(sizes.state);
    g.residuals = operands.next_residuals_result(residuals_size);
    g.d_kernel = operands.next_result(sizes.kernel);
    g.d_recurrent_kernel = operands.next_result(sizes.recurrent_kernel);
    g.d_bias = operands.next_result(sizes.bias);
    for (int s = 0; s < states; ++s) g.d_initial_states[s] = operands.next_result(sizes.state);
    if (!operands.good()) return operands.error();
    if (!readable(call.input, d, residuals)) return wrong_residuals();
    if (g.residuals != residuals) std::memcpy(g.residuals, residuals, residuals_size * sizeof(float));
  }
  if (!operands.all_used()) return operands.error();
  return unless_memory_is_short([&] { backward(call, d_outputs, d_x, results); });
}

// Kernel, recurrent_kernel and bias of each direction -> a digest for each.
// A call of its own, because XLA takes it out of loops in which the weights stay as they are.
ffi::Error xla_digest(ffi::RemainingArgs args, ffi::RemainingRets rets) {
  constexpr int kArrays = 3;
  const int count = std::min(static_cast<int>(rets.size()), kMaxDirections);
  Operands operands(args, rets);
  Floats arrays[kMaxDirections][kArrays];
  uint32_t* results[kMaxDirections];
  for (int i = 0; i < count; ++i) {
    for (Floats& each : arrays[i]) each = operands.next_array();
    results[i] = operands.next_digest_result();
  }
  if (!operands.all_used()) return operands.error();
  return unless_memory_is_short([&] {
    run_pieces(count, [&](int i) {
      const Digest digest = digest_of(arrays[i], kArrays);
      std::memcpy(results[i], &digest, sizeof(digest));
    });
  });
}

XLA_FFI_DEFINE_HANDLER(kDigest, xla_digest, ffi::Ffi::Bind().RemainingArgs().RemainingRets());

// What the handlers of both passes are given.
auto bound() {
  return ffi::Ffi::Bind()
      .Arg<F32>()
      .RemainingArgs()
      .RemainingRets()
      .Attr<Integers>("cells")
      .Attr<Integers>("units")
      .Attr<Integers>("reverse")
      .Attr<Integers>("dropouts")
      .Attr<bool>("masked")
      .Attr<bool>("zero_output_for_mask")
      .Attr<int64_t>("precision")
      .Attr<bool>("sequences");
}

XLA_FFI_DEFINE_HANDLER(kForward, xla_forward, bound().Attr<bool>("with_residuals").Attr<bool>("with_digests"));
XLA_FFI_DEFINE_HANDLER(kBackward, xla_backward, bound().Attr<bool>("wants_d_x"));

}  // namespace

nb::dict xla_handlers() {
  nb::dict handlers;
  handlers["bothways_digest_v1"] = nb::capsule(reinterpret_cast<void*>(kDigest));
  handlers["bothways_forward_v3"] = nb::capsule(reinterpret_cast<void*>(kForward));
  handlers["bothways_backward_v2"] = nb::capsule(reinterpret_cast<void*>(kBackward));
  return handlers;
}

}  // namespace bothways
