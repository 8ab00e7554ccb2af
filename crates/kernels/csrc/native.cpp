// Autograd functions around the kernels in Rust: they allocate, check what autograd needs checked, and call through a table.
// The operands are tensors on the CPU (f32; x may be bf16) whose shapes the Rust side has checked; they need not be contiguous.

#include "native.h"

#include "bridge.h"

#include <ATen/Config.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using at::Tensor;
using grulm::Table;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor plain(const Tensor& t) { return t.to(at::kFloat).contiguous(); }
const float* in(const Tensor& t) { return t.const_data_ptr<float>(); }
float* out(const Tensor& t) { return t.mutable_data_ptr<float>(); }
float* out_or_null(const Tensor& t) { return t.defined() ? out(t) : nullptr; }

// The kernels' gradients are numbers without a history.
void once() { TORCH_CHECK(!at::GradMode::is_enabled(), "grulm's kernels can be differentiated once, not twice"); }

void ran(bool had_memory) { TORCH_CHECK(had_memory, "can't allocate memory for the kernels"); }

// Hands over what a forward pass has left for one backward pass.
Tensor take(AutogradContext* ctx, const char* name) {
  const auto found = ctx->saved_data.find(name);
  TORCH_CHECK(found != ctx->saved_data.end(), "the gradients of this pass of grulm's kernels have been taken already");
  auto tensor = std::move(found->second).toTensor();
  ctx->saved_data.erase(found);
  return tensor;
}

const Table* table_of(AutogradContext* ctx) { return reinterpret_cast<const Table*>(ctx->saved_data["table"].toInt()); }

grulm::GruSizes sizes_of(const Tensor& x, int64_t hidden) {
  return {static_cast<size_t>(x.size(0)), static_cast<size_t>(x.size(1)), static_cast<size_t>(x.size(2)),
          static_cast<size_t>(hidden)};
}

struct NativeGru : torch::autograd::Function<NativeGru> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x_, const Tensor& h0, const Tensor& w_ih_,
                               const Tensor& w_hh_, const Tensor& b_ih, const Tensor& b_hh, int64_t table, bool keep) {
    // Below autograd, a part of a tensor is no view that autograd would have to follow.
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto x = plain(x_), w_ih = plain(w_ih_), w_hh = plain(w_hh_), b_i = plain(b_ih), b_h = plain(b_hh);
    const int64_t T = x.size(0), B = x.size(1), H = h0.size(1);
    auto states = at::empty({T + 1, B, H}, x.options()), gates = at::empty({T, B, 3 * H}, x.options());
    auto recurrent = keep ? at::empty({T, B, H}, x.options()) : Tensor();
    states.select(0, 0).copy_(h0);
    const grulm::GruForward operands{sizes_of(x, H), in(x), in(w_ih), in(w_hh), in(b_i), in(b_h),
                                     out(states), out(gates), keep ? out(recurrent) : nullptr, keep};
    ran(reinterpret_cast<const Table*>(table)->gru_forward(&operands));
    ctx->saved_data["table"] = table;
    ctx->set_materialize_grads(false);
    const auto y = states.narrow(0, 1, T);
    // Weights and input as they were given, and the outputs: autograd then notices if they are changed before the backward pass.
    if (keep) {
      ctx->save_for_backward({x_, w_ih_, w_hh_, states, y});
      // The gradients of the gates will take their places.
      ctx->saved_data["gates"] = std::move(gates);
      ctx->saved_data["recurrent"] = std::move(recurrent);
    }
    return {y, states.select(0, T).clone()};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    once();
    const auto saved = ctx->get_saved_variables();
    const auto gates = take(ctx, "gates"), recurrent = take(ctx, "recurrent");
    const auto x = plain(saved[0]), w_ih = plain(saved[1]), w_hh = plain(saved[2]);
    const auto& states = saved[3];
    const int64_t B = x.size(1), H = states.size(2);
    const auto d_y = grads[0].defined() ? plain(grads[0]) : Tensor();
    auto d_h = at::empty({B, H}, x.options());
    grads[1].defined() ? d_h.copy_(grads[1]) : d_h.zero_();
    const auto d_x = ctx->needs_input_grad(0) ? at::empty_like(x) : Tensor();
    const auto d_w_ih = ctx->needs_input_grad(2) ? at::empty_like(w_ih) : Tensor();
    const auto d_w_hh = ctx->needs_input_grad(3) ? at::empty_like(w_hh) : Tensor();
    const auto d_b_ih = at::empty({3 * H}, x.options()), d_b_hh = at::empty({3 * H}, x.options());
    const grulm::GruBackward operands{sizes_of(x, H), in(x), in(w_ih), in(w_hh), in(states), out(gates), out(recurrent),
                                      d_y.defined() ? in(d_y) : nullptr, out(d_h), out_or_null(d_x), out_or_null(d_w_ih),
                                      out_or_null(d_w_hh), out(d_b_ih), out(d_b_hh)};
    ran(table_of(ctx)->gru_backward(&operands));
    return {d_x, d_h, d_w_ih, d_w_hh, d_b_ih, d_b_hh, Tensor(), Tensor()};
  }
};

// The gradients are made with the likelihoods, while the softmax is at hand, and handed over once.
struct NativeCrossEntropy : torch::autograd::Function<NativeCrossEntropy> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& targets, int64_t table) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto nll = run(x, weight, bias, targets, reinterpret_cast<const Table*>(table), &ctx->saved_data);
    return nll.sum();
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    once();
    variable_list result;
    for (const auto* name : {"d_x", "d_weight", "d_bias"}) {
      // Moved out, so that autograd may keep the memory as the gradient instead of copying it.
      auto gradient = take(ctx, name);
      const bool scaled = gradient.defined() && grads[0].item<float>() != 1.0f;
      result.push_back(scaled ? gradient.mul_(grads[0]) : std::move(gradient));
    }
    result.insert(result.end(), {Tensor(), Tensor()});
    return result;
  }

  static Tensor run(const Tensor& x_, const Tensor& weight_, const Tensor& bias_, const Tensor& targets_, const Table* table,
                    ska::flat_hash_map<std::string, at::IValue>* gradients) {
    const auto x = plain(x_), weight = plain(weight_), bias = plain(bias_), targets = targets_.contiguous();
    auto nll = at::empty({x.size(0)}, x.options());
    const auto wanted = [&](const Tensor& t) { return gradients && t.requires_grad(); };
    auto d_x = wanted(x_) ? at::empty_like(x) : Tensor(), d_weight = wanted(weight_) ? at::empty_like(weight) : Tensor();
    // All gradients come from that of the logits, and their sum costs next to nothing.
    auto d_bias = gradients ? at::empty_like(bias) : Tensor();
    const auto size = [](int64_t n) { return static_cast<size_t>(n); };
    const grulm::CrossEntropy operands{size(x.size(0)), size(x.size(1)), size(weight.size(0)), in(x), in(weight), in(bias),
                                       targets.const_data_ptr<int64_t>(), out(nll),
                                       out_or_null(d_bias), out_or_null(d_x), out_or_null(d_weight)};
    ran(table->cross_entropy(&operands));
    if (gradients) {
      (*gradients)["d_x"] = std::move(d_x);
      (*gradients)["d_weight"] = std::move(d_weight);
      (*gradients)["d_bias"] = std::move(d_bias);
    }
    return nll;
  }
};

}  // namespace

extern "C" {

size_t grulm_threads() noexcept { return static_cast<size_t>(at::get_num_threads()); }

// `body(context, begin, end)` for parts of 0..items, each on a thread of its own, all at the same time.
void grulm_parallel(size_t items, void (*body)(const void*, size_t, size_t), const void* context) noexcept {
#if AT_PARALLEL_OPENMP && defined(_OPENMP)
  at::parallel_for(0, static_cast<int64_t>(items), 1, [&](int64_t begin, int64_t end) {
    body(context, static_cast<size_t>(begin), static_cast<size_t>(end));
  });
#else
  // libtorch's own pool may let parts wait for others to end, and those that are begun may wait for them.
  body(context, 0, items);
#endif
}

// Leaves a tensor without a gradient: the next one is then kept as it comes, not added to zeros.
char* grulm_clear_grad(const Tensor* tensor) {
  return grulm::guarded([&] { tensor->mutable_grad() = Tensor(); });
}

char* grulm_native_gru(const Tensor* x, const Tensor* h0, const Tensor* w_ih, const Tensor* w_hh, const Tensor* b_ih,
                       const Tensor* b_hh, bool bf16, const Table* table, Tensor** y, Tensor** last) {
  // Packing the weights would take longer than multiplying them by a few rows.
  constexpr int64_t few = 16;
  return grulm::guarded([&] {
    const bool keep = at::GradMode::is_enabled() &&
                      (x->requires_grad() || h0->requires_grad() || w_ih->requires_grad() || w_hh->requires_grad() ||
                       b_ih->requires_grad() || b_hh->requires_grad());
    if (!keep && x->size(0) * x->size(1) < few) {
      const at::NoGradGuard no_grad;
      return grulm::portable_gru(*x, *h0, *w_ih, *w_hh, *b_ih, *b_hh, bf16, y, last);
    }
    const auto outputs = NativeGru::apply(*x, *h0, *w_ih, *w_hh, *b_ih, *b_hh, reinterpret_cast<int64_t>(table), keep);
    *y = new Tensor(outputs[0]);
    *last = new Tensor(outputs[1]);
  });
}

// The negative log likelihoods, without a gradient.
char* grulm_native_nll(const Tensor* x, const Tensor* weight, const Tensor* bias, const Tensor* targets, const Table* table,
                       Tensor** nll) {
  return grulm::guarded([&] {
    const at::NoGradGuard no_grad;
    *nll = new Tensor(NativeCrossEntropy::run(*x, *weight, *bias, *targets, table, nullptr));
  });
}

// Their sum, with its gradient where one is wanted.
char* grulm_native_nll_sum(const Tensor* x, const Tensor* weight, const Tensor* bias, const Tensor* targets,
                           const Table* table, Tensor** sum) {
  return grulm::guarded([&] {
    const bool wanted =
        at::GradMode::is_enabled() && (x->requires_grad() || weight->requires_grad() || bias->requires_grad());
    *sum = new Tensor(wanted ? NativeCrossEntropy::apply(*x, *weight, *bias, *targets, reinterpret_cast<int64_t>(table))
                             : NativeCrossEntropy::run(*x, *weight, *bias, *targets, table, nullptr).sum());
  });
}

}  // extern "C"
