//! Messages: to standard error, and to the run folder's `log.txt` once there is one.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use grulm_train::LogLevel;
use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Shows messages from `level` up; the environment variable `RUST_LOG` wins over it.
pub fn init(level: LogLevel) {
    let configured = || EnvFilter::default().add_directive(LevelFilter::from_level(level.into()).into());
    let (filter, wrong) = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => match EnvFilter::try_new(&directives) {
            Ok(filter) => (filter, None),
            Err(error) => (configured(), Some(error)),
        },
        _ => (configured(), None),
    };
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let terminal = fmt::layer()
        .with_writer(|| Terminal)
        .with_ansi(colours)
        .with_target(false)
        .without_time()
        .log_internal_errors(false);
    let file = fmt::layer().with_writer(|| LogFile).with_ansi(false).log_internal_errors(false);
    tracing_subscriber::registry().with(terminal.and_then(file).with_filter(filter)).init();
    if let Some(error) = wrong {
        tracing::warn!("RUST_LOG is ignored: {error}");
    }
}

/// Writes all messages so far, and those to come, to the end of `log.txt` in `run_dir`.
///
/// # Errors
/// With the path, where it cannot be written.
pub fn attach(run_dir: &Path) -> anyhow::Result<()> {
    let path = run_dir.join("log.txt");
    let mut file = File::options().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    let mut sink = lock(&SINK);
    if let Sink::Held(lines) = &*sink {
        file.write_all(lines).with_context(|| path.display().to_string())?;
    }
    *sink = Sink::File(file);
    Ok(())
}

/// Says how the program failed: on standard error whatever the level, and in `log.txt`.
pub fn fail(message: &str) {
    // Nobody is left to tell where these fail.
    let _ = writeln!(Terminal, "error: {message}");
    let _ = writeln!(LogFile, "error: {message}");
}

/// A progress bar where standard error is a terminal; messages do not tear it.
pub fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // A template that does not parse would only cost the layout.
    let style = ProgressStyle::with_template("{bar:25} {percent}% {msg} {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    *lock(&BAR) = Some(bar.clone());
    bar
}

static SINK: Mutex<Sink> = Mutex::new(Sink::Held(Vec::new()));
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Where the lines of `log.txt` go.
enum Sink {
    /// There is no run folder yet.
    Held(Vec<u8>),
    File(File),
}

/// Bytes that are held at most.
const MOST_HELD: usize = 1 << 20;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard error, around the progress bar.
struct Terminal;

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bar = lock(&BAR).clone().filter(|bar| !bar.is_finished());
        match bar {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// `log.txt`.
struct LogFile;

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *lock(&SINK) {
            Sink::Held(lines) if lines.len() + bytes.len() <= MOST_HELD => lines.write(bytes),
            Sink::Held(_) => Ok(bytes.len()),
            Sink::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
