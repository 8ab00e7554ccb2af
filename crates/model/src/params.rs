//! The weights of a model: ordered, named, grouped.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::{
    Error, WeightFormat,
    random::Site,
    weights::{load_tensors, save_tensors},
};

/// One weight.
#[derive(Debug)]
pub struct Param {
    /// PyTorch's name (`encoder.forward.rnns.0.weight_ih_l0`).
    pub name: String,
    /// The f32 tensor; requires a gradient.
    pub tensor: Tensor,
    /// The layer that it belongs to, counted from the input: 0 is the embedding, 1 the first GRU layer, and so on.
    pub group: usize,
    /// Whether weight decay applies: to matrices, not to biases.
    pub decays: bool,
}

/// The weights of a model, in the order in which the layers were built.
///
/// Only this type, bundles and checkpoints write weights to disk.
#[derive(Debug)]
pub struct Params {
    entries: Vec<Param>,
    /// Those that gradient descent leaves alone.
    fixed: Vec<(String, Tensor)>,
    device: Device,
    /// Where initial values come from; without it they are zero.
    site: Option<Site>,
}

impl Params {
    /// No weights yet. Initial values are functions of `seed` and a weight's name.
    #[must_use]
    pub fn new(seed: u64, device: Device) -> Self {
        Self { entries: Vec::new(), fixed: Vec::new(), device, site: Some(Site::new(seed).named("initial weights")) }
    }

    /// No weights yet. Initial values are zero, which costs no time: for a model whose weights are about to be
    /// [loaded](Params::load).
    #[must_use]
    pub fn to_load(device: Device) -> Self {
        Self { entries: Vec::new(), fixed: Vec::new(), device, site: None }
    }

    /// Adds a weight of uniform numbers in `-bound..bound`, or of zeros, and returns a handle to it.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn add(&mut self, name: impl Into<String>, shape: &[i64], bound: f64, group: usize) -> Result<Tensor, Error> {
        let name = name.into();
        let tensor = match self.site {
            Some(site) if bound != 0.0 => site.named(&name).uniform_tensor(shape, bound, self.device),
            _ => Tensor::f_zeros(shape, (Kind::Float, self.device)).map_err(Error::from),
        };
        let tensor = tensor.map_err(Error::no_room(&name, shape))?.set_requires_grad(true);
        let handle = tensor.shallow_clone();
        self.entries.push(Param { name, tensor, group, decays: shape.len() > 1 });
        Ok(handle)
    }

    /// Adds a vector of ones and returns a handle to it.
    ///
    /// # Errors
    /// As [`Params::add`].
    pub fn add_ones(&mut self, name: impl Into<String>, shape: &[i64], group: usize) -> Result<Tensor, Error> {
        let handle = self.add(name, shape, 0.0, group)?;
        let _ = tch::no_grad(|| handle.shallow_clone().f_fill_(1.0))?;
        Ok(handle)
    }

    /// Adds a vector of these numbers and returns a handle to it.
    ///
    /// # Errors
    /// As [`Params::add`].
    pub fn add_values(&mut self, name: impl Into<String>, values: &[f32], group: usize) -> Result<Tensor, Error> {
        let handle = self.add(name, &[values.len() as i64], 0.0, group)?;
        tch::no_grad(|| handle.shallow_clone().f_copy_(&Tensor::f_from_slice(values)?))?;
        Ok(handle)
    }

    /// Adds a weight of zeros that gradient descent leaves alone, and returns a handle to it. It is saved and loaded with the
    /// others, but iteration passes it by, and it lies on the CPU, whatever the device: what looks up a few of its numbers at a
    /// time would only wait for a GPU.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn add_fixed(&mut self, name: impl Into<String>, shape: &[i64]) -> Result<Tensor, Error> {
        let name = name.into();
        let tensor = Tensor::f_zeros(shape, (Kind::Float, Device::Cpu)).map_err(Error::from);
        let tensor = tensor.map_err(Error::no_room(&name, shape))?;
        let handle = tensor.shallow_clone();
        self.fixed.push((name, tensor));
        Ok(handle)
    }

    /// Every weight that can learn by gradient descent, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Param> {
        self.entries.iter()
    }

    /// Whether no weight of the groups below `group` learns.
    #[must_use]
    pub fn is_frozen_below(&self, group: usize) -> bool {
        self.iter().all(|param| param.group >= group || !param.tensor.requires_grad())
    }

    /// Where the weights that learn by gradient descent lie.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Number of numbers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.named().map(|(_, tensor)| tensor.numel()).sum()
    }

    /// Every weight that gradient descent leaves alone, with its name.
    pub fn fixed(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.fixed.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// All that files hold.
    fn named(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let entries = self.entries.iter().map(|param| (param.name.as_str(), &param.tensor));
        entries.chain(self.fixed())
    }

    /// Drops every gradient.
    pub fn zero_grad(&self) {
        for param in &self.entries {
            // Fails only where libtorch has no memory left for the message, and then the next step fails as well.
            let _ = grulm_kernels::clear_grad(&param.tensor);
        }
    }

    /// Writes the weights as safetensors, in f32 or smaller.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path, format: WeightFormat) -> Result<(), Error> {
        let mut named = Vec::new();
        for (name, tensor) in self.named() {
            format.pack(name, &tensor.detach(), &mut named)?;
        }
        save_tensors(path, &named)
    }

    /// Overwrites the weights with those of a safetensors file, in whatever format they are saved.
    ///
    /// # Errors
    /// When the file is not readable, or a name, shape or type differs from the model's; nothing is overwritten then.
    pub fn load(&self, path: &Path) -> Result<(), Error> {
        let loaded = WeightFormat::unpack(load_tensors(path)?, path)?;
        if let Some((name, _)) = loaded.iter().find(|(name, _)| !self.named().any(|(own, _)| own == name)) {
            return Err(Error::weights(path, format!("`{name}` is not a weight of this model")));
        }
        self.overwrite(path, &loaded, |name| Some(name.to_owned()))
    }

    /// Overwrites the weights whose names begin with `prefix` with those of a file, which may hold others too.
    ///
    /// # Errors
    /// As [`Params::load`].
    pub fn load_part(&self, path: &Path, prefix: &str) -> Result<(), Error> {
        self.load_from(path, |name| name.starts_with(prefix).then(|| name.to_owned()))
    }

    /// Overwrites weights with those of a file, which may hold others too: `source` says what a weight is called there; what it
    /// has no name for stays as it is.
    ///
    /// # Errors
    /// As [`Params::load`].
    pub fn load_from(&self, path: &Path, source: impl Fn(&str) -> Option<String>) -> Result<(), Error> {
        let loaded = WeightFormat::unpack(load_tensors(path)?, path)?;
        self.overwrite(path, &loaded, source)
    }

    fn overwrite(
        &self,
        path: &Path,
        loaded: &[(String, Tensor)],
        source: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Error> {
        let mut matched = Vec::new();
        for (name, own) in self.named() {
            let Some(wanted) = source(name) else { continue };
            let Some((_, tensor)) = loaded.iter().find(|(name, _)| *name == wanted) else {
                return Err(Error::weights(path, format!("`{wanted}` is missing")));
            };
            if tensor.size() != own.size() || tensor.kind() != own.kind() {
                let reason = format!(
                    "`{wanted}` is {:?} {:?}; the model expects {:?} {:?}",
                    tensor.kind(),
                    tensor.size(),
                    own.kind(),
                    own.size()
                );
                return Err(Error::weights(path, reason));
            }
            matched.push((own, tensor));
        }
        tch::no_grad(|| {
            for (own, tensor) in matched {
                own.shallow_clone().copy_(tensor);
            }
        });
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Params {
    type Item = &'a Param;
    type IntoIter = std::slice::Iter<'a, Param>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Params {
        let mut params = Params::new(1, Device::Cpu);
        let _ = params.add("a.weight", &[3, 4], 0.1, 0).unwrap();
        let _ = params.add("a.bias", &[3], 0.0, 0).unwrap();
        params
    }

    #[test]
    fn saved_weights_load_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let params = sample();
        params.save(&path, WeightFormat::Fp32).unwrap();
        let mut other = Params::to_load(Device::Cpu);
        let _ = other.add("a.weight", &[3, 4], 0.1, 0).unwrap();
        let _ = other.add("a.bias", &[3], 0.0, 0).unwrap();
        assert!(other.entries[0].tensor.equal(&Tensor::zeros([3, 4], (Kind::Float, Device::Cpu))));
        other.load(&path).unwrap();
        for (a, b) in params.iter().zip(&other) {
            assert!(a.tensor.equal(&b.tensor), "{}", a.name);
        }
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let check = |tensors: &[(&str, Tensor)], expect: &str| {
            let named: Vec<_> = tensors.iter().map(|(name, t)| ((*name).to_owned(), t.shallow_clone())).collect();
            save_tensors(&path, &named).unwrap();
            let message = sample().load(&path).unwrap_err().to_string();
            assert!(message.contains(expect) && message.contains("model.safetensors"), "{message}");
        };
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        check(&[("a.weight", zeros(&[3, 4]))], "`a.bias` is missing");
        check(&[("a.weight", zeros(&[3, 5])), ("a.bias", zeros(&[3]))], "[3, 5]");
        let all = [("a.weight", zeros(&[3, 4])), ("a.bias", zeros(&[3])), ("b", zeros(&[1]))];
        check(&all, "`b` is not a weight");
        for cut in [0, 4, 20, 60] {
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(sample().load(&path).unwrap_err().to_string().contains("safetensors"));
            std::fs::write(&path, &whole).unwrap();
        }
    }

    #[test]
    fn initial_weights_depend_on_seed_and_name_alone() {
        let (a, b) = (sample(), sample());
        assert!(a.entries[0].tensor.equal(&b.entries[0].tensor));
        let mut other = Params::new(1, Device::Cpu);
        let _ = other.add("b.weight", &[3, 4], 0.1, 0).unwrap();
        assert!(!a.entries[0].tensor.equal(&other.entries[0].tensor));
    }

    #[test]
    fn a_weight_without_room_is_named() {
        for mut params in [Params::new(1, Device::Cpu), Params::to_load(Device::Cpu)] {
            let large = &[1 << 25, 1 << 25];
            let found = [params.add("a", large, 0.1, 0), params.add_ones("a", large, 0), params.add_fixed("a", large)];
            for found in found {
                let message = found.unwrap_err().to_string();
                assert!(message.contains("the weight a [33554432, 33554432] has 4294967296 MiB"), "{message}");
            }
            assert_eq!(params.count(), 0);
        }
    }
}
