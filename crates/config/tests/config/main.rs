//! Configs as the binaries use them: messages, overrides, round trips, hostile input.

mod hostile;
mod messages;
mod round_trip;
mod sample;
