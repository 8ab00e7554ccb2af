//! Standard input that a signal ends.

use std::{
    io::{self, ErrorKind, Read},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use grulm_train::StopFlag;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;
/// How often the flag is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(50);

/// Standard input, which ends where a signal asks to stop: a read from a pipe or a terminal itself would wait on.
#[derive(Debug)]
pub struct StoppableStdin {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    stop: StopFlag,
}

impl StoppableStdin {
    /// Begins to read, in a thread of its own, a chunk ahead.
    #[must_use]
    pub fn new(stop: StopFlag) -> Self {
        Self::of(io::stdin(), stop)
    }

    fn of(mut input: impl Read + Send + 'static, stop: StopFlag) -> Self {
        let (sender, chunks) = mpsc::sync_channel(1);
        thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match input.read(&mut chunk) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    read => read,
                };
                let ends = !matches!(read, Ok(1..));
                let read = read.map(|count| {
                    chunk.truncate(count);
                    chunk
                });
                if sender.send(read).is_err() || ends {
                    break;
                }
            }
        });
        Self { chunks, chunk: io::Cursor::default(), stop }
    }
}

impl Read for StoppableStdin {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.chunk.read(to)? {
                0 if !to.is_empty() && self.stop.signal().is_none() => {}
                count => return Ok(count),
            }
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
            if self.chunk.get_ref().is_empty() {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing comes, and no end.
    struct Silent;

    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_secs(3600));
            Ok(0)
        }
    }

    #[test]
    fn all_of_it_is_read() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 5).map(|i| (i % 251) as u8).collect();
        let mut read = Vec::new();
        let mut stdin = StoppableStdin::of(io::Cursor::new(bytes.clone()), StopFlag::new());
        assert_eq!(stdin.read_to_end(&mut read).unwrap(), bytes.len());
        assert!(read == bytes);
        assert_eq!(stdin.read(&mut [0; 4]).unwrap(), 0);
    }

    #[test]
    fn a_signal_ends_it() {
        let stop = StopFlag::new();
        let mut stdin = StoppableStdin::of(Silent, stop.clone());
        thread::spawn(move || {
            thread::sleep(2 * LOOK);
            stop.raise(2);
        });
        assert_eq!(stdin.read(&mut [0; 4]).unwrap(), 0);
    }
}
