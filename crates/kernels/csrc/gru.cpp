// A GRU layer over libtorch's products, with a backward pass of its own.
//
// libtorch's `gru` multiplies by W_ih and accumulates both weight gradients once a time step. Here the input projection
// is one product over all steps, only h(t-1) W_hh^T and dG(t) W_hh stay inside the loops, and every weight gradient is
// one product after them. All factors of the backward pass that do not depend on dh(t) are computed for all steps at once.
//
//   r = s(W_ir x + b_ir + W_hr h + b_hr)      n = tanh(W_in x + b_in + r q),  q = W_hn h + b_hn
//   z = s(W_iz x + b_iz + W_hz h + b_hz)      h' = (1 - z) n + z h

#include "bridge.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Products of `type`, everything else f32: autocast must not meddle.
struct Explicit {
  c10::impl::ExcludeDispatchKeyGuard guard{c10::autocast_dispatch_keyset};
};

struct GruLayer : torch::autograd::Function<GruLayer> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& h0, const Tensor& w_ih,
                               const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh, bool bf16) {
    const Explicit explicit_types;
    const auto type = bf16 ? at::kBFloat16 : at::kFloat;
    const int64_t T = x.size(0), B = x.size(1), H = h0.size(1);
    const auto x2 = x.reshape({T * B, x.size(2)}).to(type);
    const auto wi = w_ih.to(type), wh_t = w_hh.to(type).t();
    const auto bias = at::cat({b_ih.narrow(0, 0, 2 * H) + b_hh.narrow(0, 0, 2 * H), b_ih.narrow(0, 2 * H, H)});
    const auto b_q = b_hh.narrow(0, 2 * H, H);
    const auto gates = (bf16 ? at::mm(x2, wi.t()).to(at::kFloat).add_(bias) : at::addmm(bias, x2, wi.t())).view({T, B, 3 * H});

    auto y = at::empty({T, B, H}, x.options().dtype(at::kFloat));
    auto rz = at::empty({T, B, 2 * H}, y.options()), n = at::empty_like(y), q = at::empty_like(y);
    auto h = h0;
    for (int64_t t = 0; t < T; ++t) {
      const auto recurrent = at::mm(h.to(type), wh_t);
      auto rz_t = rz[t], n_t = n[t], q_t = q[t], y_t = y[t];
      at::add_out(rz_t, gates[t].narrow(1, 0, 2 * H), recurrent.narrow(1, 0, 2 * H)).sigmoid_();
      at::add_out(q_t, recurrent.narrow(1, 2 * H, H), b_q);
      at::addcmul_out(n_t, gates[t].narrow(1, 2 * H, H), rz_t.narrow(1, 0, H), q_t).tanh_();
      at::lerp_out(y_t, n_t, h, rz_t.narrow(1, H, H));
      h = y_t;
    }
    ctx->save_for_backward({x, h0, w_ih, w_hh, y, rz, n, q});
    ctx->saved_data["bf16"] = bf16;
    return {y, h.clone()};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Explicit explicit_types;
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &h0 = saved[1], &w_ih = saved[2], &w_hh = saved[3], &y = saved[4], &n = saved[6], &q = saved[7];
    const auto type = ctx->saved_data["bf16"].toBool() ? at::kBFloat16 : at::kFloat;
    const int64_t T = y.size(0), B = y.size(1), H = y.size(2);
    const auto r = saved[5].narrow(2, 0, H), z = saved[5].narrow(2, H, H);
    const auto before = T > 1 ? at::cat({h0.unsqueeze(0), y.narrow(0, 0, T - 1)}) : h0.unsqueeze(0);

    // What dh(t) is multiplied by to give the gradients before the gates' nonlinearities, [T, B, 3, H]: r, z, q.
    auto factors = at::empty({T, B, 3, H}, y.options());
    const auto to_n = (1 - z).mul_(1 - n * n);
    auto to_r = factors.select(2, 0), to_z = factors.select(2, 1), to_q = factors.select(2, 2);
    at::mul_out(to_q, to_n, r);
    at::mul_out(to_r, to_n * q, r * (1 - r));
    at::mul_out(to_z, before - n, z * (1 - z));

    const auto wh = w_hh.to(type);
    auto dg = at::empty({T, B, 3 * H}, y.options().dtype(type));
    auto dh_all = at::empty_like(y);
    auto dh = grads[1].defined() ? grads[1] : at::zeros_like(h0);
    for (int64_t t = T; t-- > 0;) {
      auto total = dh_all[t], dg_t = dg[t];
      grads[0].defined() ? at::add_out(total, dh, grads[0][t]) : total.copy_(dh);
      auto by_gate = dg_t.view({B, 3, H});
      by_gate.copy_(total.unsqueeze(1) * factors[t]);
      dh = type == at::kFloat ? at::addmm(total * z[t], dg_t, wh) : (total * z[t]).add_(at::mm(dg_t, wh));
    }
    const auto dg2 = dg.view({T * B, 3 * H});
    const auto sum = [](const Tensor& g) { return g.sum(at::IntArrayRef{0}, false, at::kFloat); };
    const auto dw_hh = at::mm(dg2.t(), before.reshape({T * B, H}).to(type)).to(at::kFloat);
    const auto db_hh = sum(dg2);
    // The input's side differs in n alone, where the reset gate does not stand between.
    auto dn = at::mul(dh_all, to_n).view({T * B, H});
    dg2.narrow(1, 2 * H, H).copy_(dn);
    const auto db_ih = at::cat({db_hh.narrow(0, 0, 2 * H), sum(dn)});
    const auto dw_ih = at::mm(dg2.t(), x.reshape({T * B, x.size(2)}).to(type)).to(at::kFloat);
    const auto dx = ctx->needs_input_grad(0) ? at::mm(dg2, w_ih.to(type)).to(at::kFloat).view_as(x) : Tensor();
    return {dx, dh, dw_ih, dw_hh, db_ih, db_hh, Tensor()};
  }
};

}  // namespace

void grulm::portable_gru(const Tensor& x, const Tensor& h0, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                         const Tensor& b_hh, bool bf16, Tensor** y, Tensor** last) {
  const auto out = GruLayer::apply(x, h0, w_ih, w_hh, b_ih, b_hh, bf16);
  *y = new Tensor(out[0]);
  *last = new Tensor(out[1]);
}

extern "C" char* grulm_gru(const Tensor* x, const Tensor* h0, const Tensor* w_ih, const Tensor* w_hh, const Tensor* b_ih,
                           const Tensor* b_hh, bool bf16, Tensor** y, Tensor** last) {
  return grulm::guarded([&] { grulm::portable_gru(*x, *h0, *w_ih, *w_hh, *b_ih, *b_hh, bf16, y, last); });
}
