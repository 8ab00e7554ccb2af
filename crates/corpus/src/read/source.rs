//! The bytes of a file, decompressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::inputs::Compression;

/// Read from the disk at a time.
const BUFFER: usize = 1 << 17;

type Raw = BufReader<Counted>;

/// A stream of decompressed bytes that knows how much of the file it has read.
pub(crate) enum Source {
    Plain(Raw),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Raw>>),
    Zstd(zstd::Decoder<'static, Raw>),
}

impl Source {
    pub(crate) fn open(path: &Path, compression: Compression) -> io::Result<Self> {
        let mut raw = BufReader::with_capacity(BUFFER, Counted { file: File::open(path)?, bytes: 0 });
        // A file without a byte holds nothing, whatever its name: the decoders would call it cut short.
        if raw.fill_buf()?.is_empty() {
            return Ok(Self::Plain(raw));
        }
        Ok(match compression {
            Compression::None => Self::Plain(raw),
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(raw))),
            Compression::Zstd => Self::Zstd(zstd::Decoder::with_buffer(raw)?),
        })
    }

    /// Bytes of the file on disk that have been read, a buffer ahead of what came out.
    pub(super) fn bytes_read(&self) -> u64 {
        match self {
            Self::Plain(raw) => raw.get_ref().bytes,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().bytes,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().bytes,
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer).map_err(|error| damaged("gzip", error)),
            Self::Zstd(decoder) => decoder.read(buffer).map_err(|error| damaged("Zstandard", error)),
        }
    }
}

/// What a decoder says of the data, and of which; what the system said of the file stays as it is.
fn damaged(format: &str, error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() {
        return error;
    }
    io::Error::new(error.kind(), format!("damaged or cut short, or not {format}: {error}"))
}

pub(crate) struct Counted {
    file: File,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
