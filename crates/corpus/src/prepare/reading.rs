//! Reading ahead: files are read on threads of their own, in batches that come in the order of the files.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::{Document, Error, Input, ReadOptions, documents};

/// Characters' bytes after which a batch is complete.
const BATCH_BYTES: usize = 1 << 20;
/// Documents after which it is: blank lines have no bytes.
const BATCH_DOCUMENTS: usize = 1 << 14;
/// Files that are open at once.
const OPEN: usize = 2;

/// Some documents of one file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The index of the file.
    pub(super) input: usize,
    /// The documents, in order.
    pub(super) documents: Vec<Document>,
    /// Bytes of text.
    pub(super) bytes: usize,
    /// Bytes of the file that were read for this batch.
    pub(super) read: u64,
    /// Undecodable characters that were replaced in this batch.
    pub(super) replaced: u64,
}

/// The documents of all inputs, in order.
pub(super) fn batches<'scope, 'a: 'scope>(
    scope: &'scope Scope<'scope, 'a>,
    inputs: &'a [Input],
    options: &'a ReadOptions,
) -> impl Iterator<Item = Result<Batch, Error>> + use<'scope, 'a> {
    let mut waiting = inputs.iter().enumerate();
    let mut open: VecDeque<Receiver<Result<Batch, Error>>> = VecDeque::new();
    std::iter::from_fn(move || {
        loop {
            while open.len() < OPEN {
                let Some((index, input)) = waiting.next() else { break };
                let (send, receive) = sync_channel(2);
                scope.spawn(move || read(index, input, options, &send));
                open.push_back(receive);
            }
            match open.front()?.recv() {
                Ok(batch) => return Some(batch),
                // The file is at its end.
                Err(_) => open.pop_front(),
            };
        }
    })
}

/// Sends the batches of one file; ends early where nobody takes them any more.
fn read(index: usize, input: &Input, options: &ReadOptions, send: &SyncSender<Result<Batch, Error>>) {
    let mut documents = match documents(input, options) {
        Ok(documents) => documents,
        Err(error) => {
            let _ = send.send(Err(error));
            return;
        }
    };
    let (mut read, mut replaced) = (0, 0);
    loop {
        let mut batch = Batch { input: index, ..Batch::default() };
        while batch.bytes < BATCH_BYTES && batch.documents.len() < BATCH_DOCUMENTS {
            match documents.next() {
                None => break,
                Some(Ok(document)) => {
                    batch.bytes += document.text.len();
                    batch.documents.push(document);
                }
                Some(Err(error)) => {
                    let _ = send.send(Err(error));
                    return;
                }
            }
        }
        let last = batch.bytes < BATCH_BYTES && batch.documents.len() < BATCH_DOCUMENTS;
        batch.read = documents.bytes_read().saturating_sub(read);
        batch.replaced = documents.replaced() - replaced;
        (read, replaced) = (read + batch.read, replaced + batch.replaced);
        if send.send(Ok(batch)).is_err() || last {
            return;
        }
    }
}
