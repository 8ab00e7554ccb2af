use std::{fs, path::Path};

use grulm_model::{
    LanguageModel, ModelConfig, SHAPE_FILE, Shape, WEIGHTS_FILE, WeightFormat, load_tensors, save_tensors,
};
use proptest::prelude::*;
use tch::{
    Device::Cpu,
    Kind::{Float, Int64},
    Tensor,
};

fn saved() -> (tempfile::TempDir, LanguageModel) {
    let folder = tempfile::tempdir().unwrap();
    let config = ModelConfig { embedding: 3, hidden: 4, layers: 2, ..ModelConfig::default() };
    let model = LanguageModel::new(&config, 9, 1, Cpu).unwrap();
    model.save(folder.path(), WeightFormat::Fp32).unwrap();
    (folder, model)
}

#[test]
fn a_saved_model_opens_bit_for_bit() {
    let (folder, model) = saved();
    let opened = LanguageModel::open(folder.path(), Cpu).unwrap();
    assert_eq!((opened.config(), opened.vocab_size()), (model.config(), 9));
    for (a, b) in opened.params().iter().zip(model.params()) {
        assert!(a.name == b.name && a.tensor.equal(&b.tensor) && a.tensor.requires_grad(), "{}", a.name);
    }
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing temporary is left: {names:?}");
}

/// Changes one key of `model.json`; the model must be refused, at once.
fn check_shape(pointer: &str, value: serde_json::Value, says: &str) {
    let (folder, _) = saved();
    let path = folder.path().join(SHAPE_FILE);
    let mut shape: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    *shape.pointer_mut(pointer).unwrap() = value;
    fs::write(&path, shape.to_string()).unwrap();
    let message = LanguageModel::open(folder.path(), Cpu).unwrap_err().to_string();
    assert!(message.contains(says), "{pointer}: {message}");
}

#[test]
fn hostile_sizes_are_refused_before_memory_is_taken() {
    check_shape("/version", 2.into(), "version 2; this program reads version 1");
    check_shape("/model/layers", (1u64 << 40).into(), "model.layers");
    check_shape("/model/layers", 0.into(), "model.layers");
    check_shape("/model/layers", (-1).into(), "model.json");
    check_shape("/model/layers", 64.into(), "model.safetensors");
    check_shape("/model/hidden", i64::MAX.into(), "model.hidden");
    check_shape("/model/hidden", i64::MIN.into(), "model.hidden");
    check_shape("/model/hidden", 65_536.into(), "call for at least");
    check_shape("/model/embedding", 0.into(), "model.embedding");
    check_shape("/model/embedding", 1e300.into(), "model.json");
    check_shape("/vocab_size", i64::MAX.into(), "vocab_size");
    check_shape("/vocab_size", (1u64 << 31).into(), "call for at least");
    check_shape("/vocab_size", (-5).into(), "vocab_size -5");
    check_shape("/vocab_size", 8.into(), "[9, 3]");
    check_shape("/model/hidden", 3.into(), "rnns.0.weight_ih_l0");
    check_shape("/model/direction", "sideways".into(), "sideways");
    check_shape("/model/tie_weights", false.into(), "model.safetensors");
    check_shape("/model/dropout/input", 1.0.into(), "model.dropout.input");
}

/// A softmax of its own is no part of the encoder: 500 kB of weights are enough for the one here, but not for the other.
#[test]
fn a_softmax_that_the_weights_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = ModelConfig { embedding: 1, hidden: 100, layers: 1, tie_weights: false, ..ModelConfig::default() };
    let shape = Shape::new(&config, 100_000).unwrap();
    shape.save(folder.path()).unwrap();
    fs::write(folder.path().join(WEIGHTS_FILE), vec![0; 500_000]).unwrap();
    Shape::open(folder.path()).unwrap();
    let message = LanguageModel::open(folder.path(), Cpu).unwrap_err().to_string();
    assert!(message.contains("call for at least 10230900"), "{message}");
}

#[test]
fn other_files_are_refused() {
    let (folder, model) = saved();
    let shape = folder.path().join(SHAPE_FILE);
    let text = fs::read_to_string(&shape).unwrap();
    for broken in [String::new(), "[]".into(), text[..text.len() / 2].into(), text.replacen('{', "{\"more\": 1,", 1)] {
        fs::write(&shape, broken).unwrap();
        let message = LanguageModel::open(folder.path(), Cpu).unwrap_err().to_string();
        assert!(message.contains("model.json"), "{message}");
    }
    fs::write(&shape, [0xff, 0xfe]).unwrap();
    assert!(LanguageModel::open(folder.path(), Cpu).is_err());
    model.save(folder.path(), WeightFormat::Fp32).unwrap();
    fs::remove_file(folder.path().join(WEIGHTS_FILE)).unwrap();
    assert!(LanguageModel::open(folder.path(), Cpu).unwrap_err().to_string().contains("model.safetensors"));
}

/// A safetensors file with this header and `data` bytes of zeros.
fn write(path: &Path, header: &str, data: usize) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(std::iter::repeat_n(0, data));
    fs::write(path, bytes).unwrap();
}

#[test]
fn hostile_headers_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    for (header, data) in [
        (r#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}"#, 4),
        (r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,4]}}"#, 4),
        (r#"{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}"#, 0),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 8),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4),
        (r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#, 8),
        (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4),
        ("[]", 0),
        ("", 0),
    ] {
        write(&path, header, data);
        let message = load_tensors(&path).map(|found| format!("{found:?}")).unwrap_err().to_string();
        assert!(message.contains("a.safetensors"), "{header}: {message}");
    }
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(load_tensors(&path).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tensors_round_trip(values in prop::collection::vec(any::<f32>(), 0..40), ids in prop::collection::vec(any::<i64>(), 0..9)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let named = [("ö \"x\"".to_owned(), Tensor::from_slice(&values).view([-1, 1])), ("ids".to_owned(), Tensor::from_slice(&ids))];
        save_tensors(&path, &named).unwrap();
        let loaded = load_tensors(&path).unwrap();
        for (name, tensor) in &named {
            let (_, found) = loaded.iter().find(|(own, _)| own == name).unwrap();
            prop_assert_eq!((found.kind(), found.size()), (tensor.kind(), tensor.size()));
            if tensor.kind() == Float {
                let bits = |t: &Tensor| Vec::<f32>::try_from(t.view(-1)).unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>();
                prop_assert_eq!(bits(found), bits(tensor));
            } else {
                prop_assert_eq!(found.kind(), Int64);
                prop_assert!(found.equal(tensor));
            }
        }
    }

    #[test]
    fn truncated_files_are_errors_and_flipped_bytes_never_panic(cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (folder, model) = saved();
        let path = folder.path().join(WEIGHTS_FILE);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..cut.index(whole.len())]).unwrap();
        prop_assert!(model.params().load(&path).is_err());
        prop_assert!(LanguageModel::open(folder.path(), Cpu).is_err());
        let mut flipped = whole.clone();
        let at = at.index(whole.len());
        flipped[at] ^= flip;
        fs::write(&path, &flipped).unwrap();
        if let Err(error) = model.params().load(&path) {
            prop_assert!(error.to_string().contains("model.safetensors"), "{error}");
        }
    }
}
