//! Work on many threads, with results in the order of what went in.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::ThreadPool;

use crate::Error;

/// Bytes of input under way from which on no further item is read.
const UNDER_WAY: usize = 24 << 20;

/// Calls `work` on the threads of `pool` with each item, and `take` on this thread with the results, in the order of the items. An item
/// comes with its size in bytes, which bounds how much is under way.
pub(super) fn ordered<I: Send, O: Send>(
    pool: &ThreadPool,
    mut items: impl Iterator<Item = Result<(usize, I), Error>>,
    work: impl Fn(I) -> Result<O, Error> + Sync,
    mut take: impl FnMut(O) -> Result<(), Error>,
) -> Result<(), Error> {
    let work = &work;
    let most = 4 * pool.current_num_threads();
    pool.in_place_scope(|scope| {
        let mut running: VecDeque<(usize, Receiver<Result<O, Error>>)> = VecDeque::new();
        let mut under_way = 0;
        loop {
            // Room comes before the next item is read: a large document waits on disk, not in memory.
            while running.len() >= most || under_way >= UNDER_WAY {
                let Some((done, result)) = running.pop_front() else { break };
                under_way -= done;
                // A thread that panicked sends nothing; the scope passes its panic on.
                let Ok(result) = result.recv() else { return Ok(()) };
                take(result?)?;
            }
            let Some(item) = items.next() else { break };
            let (bytes, item) = item?;
            let (send, receive) = sync_channel(1);
            scope.spawn(move |_| {
                // Nobody listens any more where another item failed.
                let _ = send.send(work(item));
            });
            under_way += bytes;
            running.push_back((bytes, receive));
        }
        for (_, result) in running {
            let Ok(result) = result.recv() else { return Ok(()) };
            take(result?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn results_come_in_order() {
        for threads in [1, 4] {
            let mut found = Vec::new();
            let items = (0..500_u64).map(|i| Ok((if i % 7 == 0 { UNDER_WAY } else { 10 }, i)));
            let work = |i: u64| {
                std::thread::sleep(std::time::Duration::from_micros(i * 37 % 100));
                Ok(i * 2)
            };
            ordered(&pool(threads), items, work, |i| {
                found.push(i);
                Ok(())
            })
            .unwrap();
            assert_eq!(found, (0..500).map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let fail = |at: u64| Error::Tokenizer(at.to_string());
        let items = || (0..500_u64).map(|i| Ok((1, i)));
        let mut taken = 0;
        let error = ordered(
            &pool(4),
            items(),
            |i| if i % 100 == 99 { Err(fail(i)) } else { Ok(i) },
            |_| {
                taken += 1;
                Ok(())
            },
        );
        assert_eq!((taken, error.unwrap_err().to_string()), (99, "tokenizer: 99".into()));
        let broken = items().chain([Err(fail(500))]);
        assert!(ordered(&pool(4), broken, Ok, |_| Ok(())).is_err());
        assert!(ordered(&pool(4), items(), Ok, |i| Err(fail(i))).is_err());
    }
}
