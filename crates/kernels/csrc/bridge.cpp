// What tch lacks, as plain C functions. Tensors cross as `at::Tensor*`, which is what `tch::Tensor::as_ptr` gives.
// No exception leaves this file: every function returns null, or a message that the caller frees with `grulm_free`.

#include "bridge.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/gru.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <cstdlib>
#include <vector>

namespace {

std::vector<at::Tensor> gather(at::Tensor* const* tensors, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(*tensors[i]);
  return out;
}

// libtorch warns in every call whose weights do not lie in one buffer; those of weight dropout cannot.
struct Silence final : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

extern "C" {

void grulm_free(char* message) { std::free(message); }

// One AdamW update (Loshchilov and Hutter, arXiv 1711.05101) of all parameters. `steps` hold the number of the update,
// counted from one, as 0-dim f32 tensors. Gradients are divided by `grad_scale` (0-dim f32) first. Nothing changes where `found_inf` (0-dim f32) is 1.
char* grulm_fused_adamw(at::Tensor* const* params, at::Tensor* const* grads, at::Tensor* const* means,
                        at::Tensor* const* variances, at::Tensor* const* steps, size_t count, double learning_rate,
                        double beta1, double beta2, double weight_decay, double epsilon, at::Tensor* grad_scale,
                        at::Tensor* found_inf) {
  return grulm::guarded([&] {
    auto p = gather(params, count), g = gather(grads, count), m = gather(means, count), v = gather(variances, count);
    auto s = gather(steps, count);
    at::_fused_adamw_(p, g, m, v, /*max_exp_avg_sqs=*/{}, s, learning_rate, beta1, beta2, weight_decay, epsilon,
                      /*amsgrad=*/false, /*maximize=*/false, *grad_scale, *found_inf);
  });
}

// Switches bf16 autocast on or off for a kind of device on this thread, and drops the casts that it had cached.
char* grulm_autocast(bool cuda, bool enabled, bool* before) {
  return grulm::guarded([&] {
    const auto device = cuda ? at::kCUDA : at::kCPU;
    *before = at::autocast::is_autocast_enabled(device);
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_cache_enabled(true);
    if (!enabled) at::autocast::clear_cache();
  });
}

// libtorch's GRU on a GPU, which is cuDNN's, of f32; `tf32`: in products of numbers rounded to 11 bits. Autocast is kept out: whatever
// its type, it makes the layer one of fp16, whose range is too small for the gradients of a summed loss.
char* grulm_cudnn_gru(const at::Tensor* x, const at::Tensor* h0, const at::Tensor* w_ih, const at::Tensor* w_hh,
                      const at::Tensor* b_ih, const at::Tensor* b_hh, bool tf32, at::Tensor** y, at::Tensor** last) {
  return grulm::guarded([&] {
    const c10::impl::ExcludeDispatchKeyGuard explicit_types{c10::autocast_dispatch_keyset};
    Silence silence;
    const c10::WarningUtils::WarningHandlerGuard guard{&silence};
    // For the whole process: the backward pass is to find it, too.
    at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::RNN,
                                            tf32 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE);
    bool learns = false;
    for (const auto* operand : {x, h0, w_ih, w_hh, b_ih, b_hh}) learns |= operand->requires_grad();
    const auto [outputs, state] =
        at::gru(x->to(at::kFloat), h0->unsqueeze(0).contiguous(),
                {w_ih->contiguous(), w_hh->contiguous(), b_ih->contiguous(), b_hh->contiguous()}, /*has_biases=*/true,
                /*num_layers=*/1, /*dropout=*/0.0, /*train=*/learns && at::GradMode::is_enabled(),
                /*bidirectional=*/false, /*batch_first=*/false);
    *y = new at::Tensor(outputs);
    *last = new at::Tensor(state.squeeze(0));
  });
}

// A copy of `host` on a GPU, from pinned memory: the host does not wait for it.
char* grulm_upload(const at::Tensor* host, int gpu, at::Tensor** copy) {
  return grulm::guarded([&] {
    const at::Device device{at::kCUDA, static_cast<c10::DeviceIndex>(gpu)};
    *copy = new at::Tensor(host->pin_memory().to(at::TensorOptions{device}, /*non_blocking=*/true));
  });
}

}  // extern "C"
