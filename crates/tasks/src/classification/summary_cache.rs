//! Summaries that a frozen encoder gives, kept for the epochs to come.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
};

use grulm_kernels::Compute;
use tch::{Device, Kind, Tensor, no_grad};

use super::classifier::Classifier;
use crate::{Error, Examples, TextBatch, buckets::longest_first};

/// The summaries `[F]` of many texts, in a temporary file: memory holds those of a batch.
#[derive(Debug)]
pub(super) struct SummaryCache {
    file: File,
    width: usize,
}

impl SummaryCache {
    /// Reads all texts, without dropout.
    pub(super) fn new(
        classifier: &Classifier,
        examples: &Examples,
        batch_size: usize,
        compute: Compute,
    ) -> Result<Self, Error> {
        let file = tempfile::tempfile().map_err(Error::io(std::env::temp_dir()))?;
        let mut cache = Self { file, width: classifier.features().unsigned_abs() as usize };
        for batch in longest_first(&examples.lengths(), batch_size) {
            let texts = TextBatch::new(batch.iter().map(|&text| examples.tokens(text)).collect());
            let summaries = no_grad(|| classifier.summaries(&texts, None, compute))?;
            let summaries = Vec::<f32>::try_from(summaries.f_to_device(Device::Cpu)?.f_reshape(-1)?)?;
            for (text, summary) in batch.into_iter().zip(summaries.chunks(cache.width)) {
                cache.write(text, summary).map_err(Error::io(std::env::temp_dir()))?;
            }
        }
        Ok(cache)
    }

    fn write(&mut self, text: usize, summary: &[f32]) -> std::io::Result<()> {
        let bytes: Vec<u8> = summary.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.file.seek(SeekFrom::Start(self.place(text)))?;
        self.file.write_all(&bytes)
    }

    fn place(&self, text: usize) -> u64 {
        (text * self.width * size_of::<f32>()) as u64
    }

    /// The summaries of these texts, `[B, F]`.
    pub(super) fn read(&mut self, texts: &[usize], device: Device) -> Result<Tensor, Error> {
        let row = self.width * size_of::<f32>();
        let mut bytes = vec![0; row * texts.len()];
        for (&text, row) in texts.iter().zip(bytes.chunks_mut(row.max(1))) {
            let place = self.place(text);
            let read = self.file.seek(SeekFrom::Start(place)).and_then(|_| self.file.read_exact(row));
            read.map_err(Error::io(std::env::temp_dir()))?;
        }
        let shape = [texts.len() as i64, self.width as i64];
        Ok(Tensor::f_from_data_size(&bytes, &shape, Kind::Float)?.f_to_device(device)?)
    }
}
