//! Ctrl-C, SIGTERM and SIGHUP, which let a command clean up before it ends.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::exit::{CliError, Exit};

/// How long an interrupted command may take to remove what it has half made.
const CLEANING: Duration = Duration::from_secs(1);

/// How long it may take to name what it makes just then.
const NAMING: Duration = Duration::from_millis(200);

/// Tells a command that the user has pressed Ctrl-C.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pressed: AtomicBool,
    half_made: Mutex<Option<PathBuf>>,
}

impl Interrupt {
    /// # Errors
    /// With exit 130 when the user has pressed Ctrl-C.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        if self.0.pressed.load(Ordering::Relaxed) { Err(CliError::interrupted()) } else { Ok(()) }
    }

    /// Lets work end that was begun apart from the rest.
    pub(crate) fn press(&self) {
        self.0.pressed.store(true, Ordering::Relaxed);
    }

    /// Names a file to remove if the command is interrupted while it waits for input and so
    /// cannot remove the file itself.
    pub(crate) fn half_made(&self, path: PathBuf) {
        *self.0.half_made.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
    }

    fn has_half_made(&self) -> bool {
        self.0.half_made.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn remove_half_made(&self) {
        if let Some(path) = self.0.half_made.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The work may have ended just now, and given the file its name.
            let _ = fs::remove_file(path);
        }
    }
}

/// Waits for Ctrl-C or, on Unix, SIGTERM or SIGHUP.
pub(crate) struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// None where whoever started us wants us to survive it, as nohup does.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system does not let the process handle signals.
    #[cfg(unix)]
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    /// Listens once [`Stop::asked`] is polled.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Resolves each time the process is asked to stop.
    pub(crate) async fn asked(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(_) = async { self.hangup.as_mut()?.recv().await } => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What comes of this; none when the process is asked to stop before.
    pub(crate) async fn unless_asked<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.asked() => None,
        }
    }
}

/// Resolves when nothing more comes on standard input. A thread of its own reads it, for which nobody waits.
pub(crate) async fn stdin_ends() {
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An input that cannot be read has ended as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = end.send(());
    });
    let _ = ended.await;
}

/// Lets a write beyond the limit on the size of files (`ulimit -f`) fail as one to a full disk does, in place of the
/// signal that ends the process without a word.
#[cfg(unix)]
pub(crate) fn outlive_file_limits() {
    use tokio::signal::unix::{SignalKind, signal};
    // SIGXFSZ, but on a few processors that lote is not built for.
    const FILE_LIMIT: i32 = 25;
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return };
    // The handler stays when this is dropped. Without one the signal does what it did before.
    drop(runtime.block_on(async { signal(SignalKind::from_raw(FILE_LIMIT)) }));
}

/// Other systems have no such signal.
#[cfg(not(unix))]
pub(crate) fn outlive_file_limits() {}

/// Whether SIGHUP was ignored when the process began. To listen for it would undo that.
#[cfg(target_os = "linux")]
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // A bit for each signal, from that of number 1, which is SIGHUP.
    ignored.is_some_and(|signals| signals & 1 != 0)
}

/// Whether SIGHUP may be ignored, which only Linux says: nohup leaves none of the three streams on a terminal. Not
/// listened for, the signal does what it did before.
#[cfg(all(unix, not(target_os = "linux")))]
fn ignores_hangup() -> bool {
    use io::IsTerminal;
    !(io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal())
}

/// Runs work of a command that talks to a service; Ctrl-C, SIGTERM or SIGHUP drops it.
///
/// # Errors
/// Those of the work; exit 130 with this message when it was stopped.
pub(crate) fn drive(stopped: &str, work: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    drive_or(|| CliError::new(Exit::Interrupted, stopped), work)
}

/// As [`drive`], with what is said made when it was stopped.
///
/// # Errors
/// As [`drive`].
pub(crate) fn drive_or(
    stopped: impl FnOnce() -> CliError,
    work: impl Future<Output = Result<Exit, CliError>>,
) -> Result<Exit, CliError> {
    let work = async |stop: &mut Stop| {
        tokio::select! {
            ended = work => ended,
            () = stop.asked() => Err(stopped()),
        }
    };
    // A blocked read of stdin or write to stdout cannot be cancelled: end without waiting for it. There is one call at a
    // time, which would only wander from thread to thread.
    listening(Builder::new_current_thread(), work, Runtime::shutdown_background)
}

/// Runs work of a command that drives a run, which is told of Ctrl-C, SIGTERM and SIGHUP through its argument. A gateway
/// inside the process works on all cores.
///
/// # Errors
/// Those of the work.
pub(crate) fn drive_run(
    embedded: bool,
    work: impl AsyncFnOnce(&mut Stop) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let builder = if embedded { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    // A check or copy that goes on after an interrupt notices, and leaves nothing behind.
    listening(builder, work, |runtime| runtime.shutdown_timeout(Duration::from_secs(5)))
}

/// Runs work with signals listened for, and ends the runtime.
fn listening(
    mut builder: Builder,
    work: impl AsyncFnOnce(&mut Stop) -> Result<Exit, CliError>,
    shut_down: impl FnOnce(Runtime),
) -> Result<Exit, CliError> {
    keep_some_memory();
    let runtime =
        builder.enable_all().build().map_err(|error| CliError::usage(format!("the runtime cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        let mut stop =
            Stop::listen().map_err(|error| CliError::usage(format!("signals cannot be handled: {error}")))?;
        work(&mut stop).await
    });
    shut_down(runtime);
    ended
}

/// What passes through in large pieces would be given back to the system piece after piece, and each time come from there
/// as empty pages. glibc keeps twice as much as the largest block that it has seen given back.
fn keep_some_memory() {
    #[cfg(target_env = "gnu")]
    drop(std::hint::black_box(Vec::<u8>::with_capacity(2 << 20)));
}

/// Runs blocking work, which is told of Ctrl-C through its argument.
///
/// # Errors
/// Those of the work; exit 130 when it was interrupted.
pub(crate) fn watch<F>(work: F) -> Result<Exit, CliError>
where
    F: FnOnce(&Interrupt) -> Result<Exit, CliError> + Send + 'static,
{
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::usage(format!("the runtime cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        let listening = Stop::listen();
        let mut stop = match listening {
            Ok(stop) => stop,
            Err(error) => return Ok(Err(CliError::usage(format!("signals cannot be handled: {error}")))),
        };
        let interrupt = Interrupt::default();
        let flag = interrupt.clone();
        // The work starts once Ctrl-C is listened for.
        let (go, started) = std::sync::mpsc::channel::<()>();
        let mut handle = tokio::task::spawn_blocking(move || {
            let _ = started.recv();
            work(&flag)
        });
        let start = async {
            drop(go);
            (&mut handle).await
        };
        tokio::select! {
            biased;
            () = stop.asked() => {}
            ended = start => return ended,
        }
        interrupt.0.pressed.store(true, Ordering::Relaxed);
        // A file that was made just now may not be named yet.
        let time = if interrupt.has_half_made() { CLEANING } else { NAMING };
        match tokio::time::timeout(time, handle).await {
            Ok(ended) => ended,
            Err(_) => {
                interrupt.remove_half_made();
                Ok(Err(CliError::interrupted()))
            }
        }
    });
    // A blocked read of stdin cannot be cancelled: end without waiting for it.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
