//! Processes that end with the test, even when the test is killed.
//!
//! One watchdog, a shell that reads from a pipe of ours, knows the processes and the directory in which everything lies.
//! When the pipe closes, for whatever reason, it kills them and deletes the directory. A process starts as a shell that
//! waits for a word before it becomes the program, so that none runs of which the watchdog has not heard.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::class_path::{ClassPath, java};
use crate::error::Error;

/// Reads `+ <pid>` and `- <pid>` until the pipe closes.
const WATCHDOG: &str = r#"
pids=
while read -r sign pid; do
    case $sign in
        +) pids="$pids $pid" ;;
        -) rest=
           for p in $pids; do [ "$p" = "$pid" ] || rest="$rest $p"; done
           pids=$rest ;;
    esac
done
for p in $pids; do kill -9 "$p" 2>/dev/null; done
for p in $pids; do
    n=0
    while kill -0 "$p" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
done
rm -rf -- "$1"
"#;
const WAIT_FOR_A_WORD: &str = r#"read -r _ && exec "$@""#;

struct Watchdog {
    dir: PathBuf,
    pipe: Mutex<ChildStdin>,
}

fn watchdog() -> Result<&'static Watchdog, Error> {
    static ONE: OnceLock<Watchdog> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(watchdog) = ONE.get() {
        return Ok(watchdog);
    }
    let dir = tempfile::Builder::new()
        .prefix("kafka-broker-")
        .tempdir()
        .map_err(Error::io("a temporary directory cannot be made"))?;
    let mut child = Command::new("sh")
        .args(["-c", WATCHDOG, "kafka-broker-watchdog"])
        .arg(dir.path())
        // An interrupt from the terminal ends the test, and then this has work to do.
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::io("a shell cannot be started"))?;
    let pipe = child
        .stdin
        .take()
        .ok_or_else(|| io::Error::other("it has no input"))
        .map_err(Error::io("a shell cannot be spoken to"))?;
    // It is the watchdog that deletes it.
    let dir = dir.keep();
    let pipe = Mutex::new(pipe);
    Ok(ONE.get_or_init(|| Watchdog { dir, pipe }))
}

impl Watchdog {
    fn tell(&self, sign: char, pid: u32) -> Result<(), Error> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipe, "{sign} {pid}").map_err(Error::io("the watchdog is gone"))
    }
}

/// A directory that is deleted when it is dropped or when the test process ends, in whatever way.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be made.
pub fn temp_dir() -> Result<TempDir, Error> {
    tempfile::tempdir_in(&watchdog()?.dir)
        .map_err(Error::io("a temporary directory cannot be made"))
}

/// A program that is to run as long as the test at most.
#[derive(Debug)]
pub struct Program(Command);

impl Program {
    /// A program by its path or name. Without more it reads nothing, and what it prints goes where the test's output goes.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", WAIT_FOR_A_WORD, "sh"])
            .arg(program)
            .process_group(0)
            .stdin(Stdio::piped());
        Program(command)
    }

    /// A Java class with a `main`, in a machine of at most `heap` (`400m`).
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] without Java.
    pub fn java(class_path: &ClassPath, heap: &str, main: &str) -> Result<Self, Error> {
        Ok(Self::java_machine(class_path, heap)?.arg(main))
    }

    /// The same without the class, for more options of the machine.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] without Java.
    pub fn java_machine(class_path: &ClassPath, heap: &str) -> Result<Self, Error> {
        Ok(Program::new(java()?)
            .arg(format!("-Xmx{heap}"))
            .arg("-XX:+UseSerialGC")
            .args(["-cp", class_path.as_str()]))
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(key, value);
        self
    }

    /// Where it works.
    #[must_use]
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    /// Appends everything that it prints to a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be opened.
    pub fn log_to(mut self, file: &Path) -> Result<Self, Error> {
        let what = || format!("{} cannot be written", file.display());
        let log = File::options()
            .create(true)
            .append(true)
            .open(file)
            .map_err(Error::io(what()))?;
        let errors = log.try_clone().map_err(Error::io(what()))?;
        self.0.stdout(log).stderr(errors);
        Ok(self)
    }

    /// Gives its output to the test, by [`Process::stdout`] and [`Process::stderr`].
    #[must_use]
    pub fn piped(mut self) -> Self {
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when no process can be started. That the program does not exist shows by its end, with code 127.
    pub fn start(mut self) -> Result<Process, Error> {
        let watchdog = watchdog()?;
        let mut child = self
            .0
            .spawn()
            .map_err(Error::io("a process cannot be started"))?;
        watchdog.tell('+', child.id())?;
        if let Some(stdin) = &mut child.stdin {
            stdin
                .write_all(b"go\n")
                .map_err(Error::io("a process cannot be started"))?;
        }
        Ok(Process {
            child,
            paused: false,
        })
    }
}

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    paused: bool,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it reads; dropping it closes its input.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it prints, if it was started [`piped`](Program::piped).
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// What it complains about, if it was started [`piped`](Program::piped).
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal by its short name (`TERM`, `INT`).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be sent, as to a process that has ended and been waited for.
    pub fn signal(&self, name: &str) -> Result<(), Error> {
        let what = || format!("signal {name} cannot be sent to process {}", self.id());
        // The shell's own `kill`: not every machine has the program.
        let status = Command::new("sh")
            .args([
                "-c",
                r#"kill -s "$1" "$2""#,
                "sh",
                name,
                &self.id().to_string(),
            ])
            .stderr(Stdio::null())
            .status()
            .map_err(Error::io(what()))?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::io(what())(io::Error::other(
                "there is no such process",
            )))
        }
    }

    /// Stops it where it is, until [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn pause(&mut self) -> Result<(), Error> {
        self.signal("STOP")?;
        self.paused = true;
        Ok(())
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn resume(&mut self) -> Result<(), Error> {
        self.signal("CONT")?;
        self.paused = false;
        Ok(())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Kills it as `kill -9` does and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be waited for.
    pub fn kill(&mut self) -> Result<ExitStatus, Error> {
        // It may have ended by itself.
        let _ = self.child.kill();
        let status = self
            .child
            .wait()
            .map_err(Error::io("a process cannot be waited for"))?;
        self.gone();
        Ok(status)
    }

    /// Asks it to end (`TERM`) and waits; one that takes longer than `within` is killed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be signalled or waited for.
    pub fn stop(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        if self.paused {
            self.resume()?;
        }
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.signal("TERM")?;
        match self.wait(within)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be asked for.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, Error> {
        let status = self
            .child
            .try_wait()
            .map_err(Error::io("a process cannot be waited for"))?;
        if status.is_some() {
            self.gone();
        }
        Ok(status)
    }

    /// Waits for its end, so long at most.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be waited for.
    pub fn wait(&mut self, within: Duration) -> Result<Option<ExitStatus>, Error> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn gone(&self) {
        // Without a watchdog nothing was started.
        if let Ok(watchdog) = watchdog() {
            // If it is gone, there is nobody to tell.
            let _ = watchdog.tell('-', self.id());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog has it if this fails.
        let _ = self.kill();
    }
}
