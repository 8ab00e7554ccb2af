//! Declarations of what `csrc` holds.

use std::ffi::{CStr, c_char, c_int, c_void};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::{Error, native::Table};

unsafe extern "C" {
    fn grulm_free(message: *mut c_char);
    pub(crate) fn grulm_fused_adamw(
        params: *const *mut C_tensor,
        grads: *const *mut C_tensor,
        means: *const *mut C_tensor,
        variances: *const *mut C_tensor,
        steps: *const *mut C_tensor,
        count: usize,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
        grad_scale: *mut C_tensor,
        found_inf: *mut C_tensor,
    ) -> *mut c_char;
    pub(crate) fn grulm_gru(
        x: *const C_tensor,
        h0: *const C_tensor,
        weight_ih: *const C_tensor,
        weight_hh: *const C_tensor,
        bias_ih: *const C_tensor,
        bias_hh: *const C_tensor,
        bf16: bool,
        y: *mut *mut C_tensor,
        last: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(crate) fn grulm_native_gru(
        x: *const C_tensor,
        h0: *const C_tensor,
        weight_ih: *const C_tensor,
        weight_hh: *const C_tensor,
        bias_ih: *const C_tensor,
        bias_hh: *const C_tensor,
        bf16: bool,
        table: *const Table,
        y: *mut *mut C_tensor,
        last: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(crate) fn grulm_native_nll(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        targets: *const C_tensor,
        table: *const Table,
        nll: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(crate) fn grulm_native_nll_sum(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        targets: *const C_tensor,
        table: *const Table,
        sum: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(crate) fn grulm_clear_grad(tensor: *const C_tensor) -> *mut c_char;
    pub(crate) fn grulm_threads() -> usize;
    pub(crate) fn grulm_parallel(
        items: usize,
        body: unsafe extern "C" fn(*const c_void, usize, usize),
        context: *const c_void,
    );
    pub(crate) fn grulm_cudnn_gru(
        x: *const C_tensor,
        h0: *const C_tensor,
        weight_ih: *const C_tensor,
        weight_hh: *const C_tensor,
        bias_ih: *const C_tensor,
        bias_hh: *const C_tensor,
        tf32: bool,
        y: *mut *mut C_tensor,
        last: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(crate) fn grulm_upload(host: *const C_tensor, gpu: c_int, copy: *mut *mut C_tensor) -> *mut c_char;
    pub(crate) fn grulm_autocast(cuda: bool, enabled: bool, before: *mut bool) -> *mut c_char;
}

/// Turns the bridge's answer into a result and frees its message.
pub(crate) fn check(message: *mut c_char) -> Result<(), Error> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: the bridge returns null or a NUL-terminated string that it allocated for us; it is read once and then freed.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        grulm_free(message);
        text
    };
    Err(Error(format!("libtorch: {text}")))
}

/// The bare pointers of `tensors`, which must outlive them.
pub(crate) fn pointers(tensors: &[Tensor]) -> Vec<*mut C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast_mut()).collect()
}
