//! A task's weights and carried state, to be put back after a trial.

use grulm_tasks::Task;
use tch::Tensor;

use crate::Error;

/// The same numbers in another place, without a gradient.
pub(crate) fn copy_of(tensor: &Tensor) -> Result<Tensor, Error> {
    let tensor = tensor.f_detach()?;
    let mut copy = tensor.f_zeros_like()?;
    copy.f_copy_(&tensor)?;
    Ok(copy)
}

/// Copies of everything that training changes in a task.
#[derive(Debug)]
pub(crate) struct Snapshot {
    weights: Vec<Tensor>,
    state: Vec<(String, Tensor)>,
}

impl Snapshot {
    pub(crate) fn take(task: &dyn Task) -> Result<Self, Error> {
        let weights = task.params().iter().map(|param| copy_of(&param.tensor));
        let state = task.state().into_iter().map(|(name, tensor)| Ok((name, copy_of(&tensor)?)));
        Ok(Self { weights: weights.collect::<Result<_, _>>()?, state: state.collect::<Result<_, Error>>()? })
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
