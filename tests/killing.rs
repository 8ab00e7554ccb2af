//! Commands that are killed without warning, again and again, until they have come to their end.

use std::{
    env,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::program::{Ran, Workplace};

/// How many kills each of these tests is after: GRULM_KILLS, or a few.
pub(crate) fn kills_wanted() -> u64 {
    env::var("GRULM_KILLS").map_or(2, |kills| kills.parse().unwrap())
}

/// Moments that look random, from 0 to 1: another sequence in each process, or that of GRULM_SEED.
pub(crate) struct Moments(u64);

impl Moments {
    pub(crate) fn new() -> Self {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = env::var("GRULM_SEED").map_or(clock.as_nanos() as u64, |seed| seed.parse().unwrap());
        eprintln!("GRULM_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}

/// What [`Workplace::survive`] does.
pub(crate) struct Ordeal<'a> {
    /// The command, which can be given again after a kill.
    pub(crate) args: &'a str,
    /// Kills come within this time after a start.
    pub(crate) within: Duration,
}

impl Workplace {
    /// Gives a command, and sends it `signal` ("-TERM", say) as soon as `ready`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, args: &str, signal: &str, ready: impl Fn() -> bool) -> Ran {
        let child = self.command(args).stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !ready() && begun.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(2));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        Ran::of(child.wait_with_output().unwrap())
    }

    /// The time that a command takes.
    pub(crate) fn time(&self, args: &str) -> Duration {
        let begun = Instant::now();
        self.succeed(args);
        begun.elapsed()
    }

    /// Gives a command, and kills it at random moments, until it has come to its end; returns the number of kills.
    pub(crate) fn survive(&self, ordeal: &Ordeal<'_>, moments: &mut Moments) -> u64 {
        let mut kills = 0;
        // What gets nowhere before it is killed, again and again, is let through.
        let most = 20;
        loop {
            let mut child = self.command(ordeal.args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            if kills < most {
                sleep(ordeal.within.mul_f64(moments.next()));
                if child.try_wait().unwrap().is_none() {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    kills += 1;
                    continue;
                }
            }
            let ran = Ran::of(child.wait_with_output().unwrap());
            assert_eq!(ran.status, Some(0), "{} after {kills} kills: {}", ordeal.args, ran.stderr);
            return kills;
        }
    }
}
