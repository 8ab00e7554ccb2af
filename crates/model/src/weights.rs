//! Files of tensors, and the formats that weights are saved in.

use std::path::Path;

use grulm_durable::{PART, commit, with_suffix};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::Error;

/// How the numbers of a bundle's weights are saved. What is loaded is f32 always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightFormat {
    /// As they are trained, 4 bytes a number.
    #[default]
    Fp32,
    /// Rounded to half precision, 2 bytes a number.
    Fp16,
    /// Matrices rounded to 8-bit integers, each row with a scale of its own; vectors stay f32.
    Int8,
}

/// Ends the name of the scales `[R]` of an 8-bit matrix `[R, C]`.
const SCALE: &str = ".scale";
/// The largest 8-bit integer that is used; the smallest is its negative.
const LARGEST: f64 = 127.0;

impl WeightFormat {
    /// The name in configs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }

    /// Adds to `named` what stands in a file for the weight `tensor`.
    pub(crate) fn pack(self, name: &str, tensor: &Tensor, named: &mut Vec<(String, Tensor)>) -> Result<(), Error> {
        match self {
            Self::Int8 if tensor.dim() == 2 => {
                let scale = tensor.f_abs()?.f_amax([1i64].as_slice(), true)?.f_div_scalar(LARGEST)?;
                // A row of zeros has no scale to divide by.
                let rounded = tensor.f_div(&scale.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)?.f_round()?;
                named.push((name.to_owned(), rounded.f_to_kind(Kind::Int8)?));
                named.push((format!("{name}{SCALE}"), scale.f_reshape(-1)?));
            }
            Self::Fp16 => named.push((name.to_owned(), tensor.f_to_kind(Kind::Half)?)),
            Self::Fp32 | Self::Int8 => named.push((name.to_owned(), tensor.shallow_clone())),
        }
        Ok(())
    }

    /// The weights, in f32, of a file that was written in any format.
    pub(crate) fn unpack(loaded: Vec<(String, Tensor)>, path: &Path) -> Result<Vec<(String, Tensor)>, Error> {
        let (scales, weights): (Vec<_>, Vec<_>) = loaded.into_iter().partition(|(name, _)| name.ends_with(SCALE));
        let unpack = |(name, tensor): (String, Tensor)| {
            let tensor = match tensor.kind() {
                Kind::Int8 => {
                    let scale = scales.iter().find(|(scale, _)| scale.strip_suffix(SCALE) == Some(&name));
                    let Some((_, scale)) = scale.filter(|(_, scale)| {
                        tensor.dim() == 2 && scale.size() == tensor.size()[..1] && scale.kind() == Kind::Float
                    }) else {
                        return Err(Error::weights(path, format!("`{name}` is I8 without an F32 scale for each row")));
                    };
                    tensor.f_to_kind(Kind::Float)?.f_mul(&scale.f_unsqueeze(1)?)?
                }
                Kind::Half => tensor.f_to_kind(Kind::Float)?,
                _ => tensor,
            };
            Ok((name, tensor))
        };
        weights.into_iter().map(unpack).collect()
    }
}

/// Writes the weights of the file `from`, of any format, to the file `to` in `format`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn convert_weights(from: &Path, to: &Path, format: WeightFormat) -> Result<(), Error> {
    let mut named = Vec::new();
    for (name, tensor) in WeightFormat::unpack(load_tensors(from)?, from)? {
        format.pack(&name, &tensor, &mut named)?;
    }
    save_tensors(to, &named)
}

/// Writes named tensors as safetensors, whole or not at all.
///
/// # Errors
/// When the file cannot be written or a tensor's type has no safetensors equivalent.
pub fn save_tensors(path: &Path, named: &[(String, Tensor)]) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let bytes = named
        .iter()
        .map(|(name, tensor)| Ok((name, bytes_of(tensor)?, shape_of(tensor), dtype_of(tensor, path)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let views = bytes
        .iter()
        .map(|(name, data, shape, dtype)| {
            let view = TensorView::new(*dtype, shape.clone(), data).map_err(|e| not_safetensors(path, &e))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let part = with_suffix(path, PART);
    // The library lets only the owner read its files; ours are as any new file.
    let permissions = std::fs::File::create(&part).and_then(|file| file.metadata()).map_err(io)?.permissions();
    safetensors::serialize_to_file(views, None, &part).map_err(|e| not_safetensors(path, &e))?;
    std::fs::set_permissions(&part, permissions).map_err(io)?;
    commit(&part, path).map_err(io)
}

/// Reads a safetensors file, in the file's order, onto the CPU.
///
/// # Errors
/// When the file is not readable or not safetensors of a type that the models use (F32, F16, I8, I64).
pub fn load_tensors(path: &Path) -> Result<Vec<(String, Tensor)>, Error> {
    let data = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let file = SafeTensors::deserialize(&data).map_err(|e| not_safetensors(path, &e))?;
    file.iter()
        .map(|(name, view)| {
            let kind = match view.dtype() {
                Dtype::F32 => Kind::Float,
                Dtype::F16 => Kind::Half,
                Dtype::I8 => Kind::Int8,
                Dtype::I64 => Kind::Int64,
                other => {
                    let reason = format!("`{name}` is {other:?}; F32, F16, I8 and I64 are allowed");
                    return Err(Error::weights(path, reason));
                }
            };
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
                .map_err(|e| Error::weights(path, format!("`{name}`: {e}")))?;
            Ok((name.to_owned(), tensor))
        })
        .collect()
}

fn not_safetensors(path: &Path, error: &safetensors::SafeTensorError) -> Error {
    Error::weights(path, format!("not a whole safetensors file: {error}"))
}

fn shape_of(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|&n| n.unsigned_abs() as usize).collect()
}

fn dtype_of(tensor: &Tensor, path: &Path) -> Result<Dtype, Error> {
    match tensor.kind() {
        Kind::Float => Ok(Dtype::F32),
        Kind::Half => Ok(Dtype::F16),
        Kind::Int8 => Ok(Dtype::I8),
        Kind::Int64 => Ok(Dtype::I64),
        other => Err(Error::weights(path, format!("{other:?} tensors are not saved"))),
    }
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, Error> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let size = tensor.kind().elt_size_in_bytes();
    let mut bytes = vec![0u8; tensor.numel() * size];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_back_within_their_rounding() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let matrix = crate::Site::new(4).uniform_tensor(&[7, 33], 0.5, Device::Cpu).unwrap();
        let _ = matrix.get(2).zero_();
        let vector = crate::Site::new(5).uniform_tensor(&[33], 0.5, Device::Cpu).unwrap();
        for (format, tolerance) in
            [(WeightFormat::Fp32, 0.0), (WeightFormat::Fp16, 0.5 / 2048.0), (WeightFormat::Int8, 0.5 / 254.0)]
        {
            let mut named = Vec::new();
            format.pack("m", &matrix, &mut named).unwrap();
            format.pack("v", &vector, &mut named).unwrap();
            save_tensors(&path, &named).unwrap();
            let plain = folder.path().join("plain");
            std::fs::write(&plain, "").unwrap();
            let [own, any] = [&path, &plain].map(|path| std::fs::metadata(path).unwrap().permissions());
            assert_eq!(own, any, "the permissions of any new file");
            let loaded = WeightFormat::unpack(load_tensors(&path).unwrap(), &path).unwrap();
            for (name, expected) in [("m", &matrix), ("v", &vector)] {
                let (_, found) = loaded.iter().find(|(own, _)| own == name).unwrap();
                let error = (found - expected).abs().max().double_value(&[]);
                assert!(error <= tolerance + 1e-9, "{format:?} {name}: {error}");
            }
        }
    }

    #[test]
    fn an_integer_matrix_needs_its_scales() {
        let matrix = Tensor::zeros([2, 3], (Kind::Int8, Device::Cpu));
        let check = |scale: Option<Tensor>| {
            let scale = scale.map(|scale| ("m.scale".to_owned(), scale));
            let loaded = [("m".to_owned(), matrix.shallow_clone())].into_iter().chain(scale).collect();
            let message = WeightFormat::unpack(loaded, Path::new("w")).unwrap_err().to_string();
            assert_eq!(message, "w: `m` is I8 without an F32 scale for each row");
        };
        check(None);
        check(Some(Tensor::zeros([3], (Kind::Float, Device::Cpu))));
        check(Some(Tensor::zeros([2], (Kind::Double, Device::Cpu))));
    }
}
