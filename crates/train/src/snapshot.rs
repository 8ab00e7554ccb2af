//! A task's weights and carried state, to be put back after a trial.

use grulm_tasks::Task;
use tch::Tensor;

use crate::Error;

/// Copies of everything that training changes in a task.
#[derive(Debug)]
pub(crate) struct Snapshot {
    weights: Vec<Tensor>,
    state: Vec<(String, Tensor)>,
}

impl Snapshot {
    pub(crate) fn take(task: &dyn Task) -> Self {
        Self {
            weights: task.params().iter().map(|param| param.tensor.detach().copy()).collect(),
            state: task.state().into_iter().map(|(name, tensor)| (name, tensor.detach().copy())).collect(),
        }
    }

    /// Puts weights and state back and clears the gradients.
    pub(crate) fn restore(self, task: &mut dyn Task) -> Result<(), Error> {
        tch::no_grad(|| {
            for (param, weight) in task.params().iter().zip(&self.weights) {
                param.tensor.shallow_clone().f_copy_(weight)?;
            }
            Ok::<(), Error>(())
        })?;
        task.params().zero_grad();
        Ok(task.load_state(&self.state)?)
    }
}
