//! Stands between brokers and lets the markers of transactions come late: Kafka answers a commit before its markers are
//! written, and on a machine of its own it writes them too soon for anybody to notice.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

const WRITE_TXN_MARKERS: i16 = 27;
const GROUP_OFFSETS: &[u8] = b"__consumer_offsets";
/// What brokers send each other is bounded by their own limits; a length beyond this is not Kafka's protocol.
const LONGEST_REQUEST: usize = 128 << 20;

/// A proxy in front of a broker's listener for other brokers. It ends with the process.
#[derive(Debug)]
pub(crate) struct MarkerProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Milliseconds.
    delay: AtomicU64,
    delayed: AtomicU64,
}

impl Shared {
    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay.load(Ordering::Relaxed))
    }
}

impl MarkerProxy {
    /// In front of the listener at `host:to`.
    pub(crate) fn start(host: &str, to: u16) -> Result<Self, Error> {
        let what = "brokers cannot be connected by way of a proxy";
        let listener = TcpListener::bind((host, 0)).map_err(Error::io(what))?;
        let port = listener.local_addr().map_err(Error::io(what))?.port();
        let shared = Arc::new(Shared::default());
        let target = (host.to_owned(), to);
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A broker that is down: the connection closes, as it would without a proxy.
                if let Ok(server) = TcpStream::connect((target.0.as_str(), target.1)) {
                    let _ = carry(client, server, &of_thread);
                }
            }
        });
        Ok(MarkerProxy { port, shared })
    }

    /// Where the other brokers connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on markers come so much later.
    pub(crate) fn delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay.store(millis, Ordering::Relaxed);
    }

    /// How many requests with markers came late so far.
    pub(crate) fn delayed(&self) -> u64 {
        self.shared.delayed.load(Ordering::Relaxed)
    }
}

/// Connects the two, until one of them closes.
fn carry(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        // It ends with the connection, in whatever way.
        let _ = requests(&mut from, &mut to, &shared);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (server, client);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// Requests one by one. Brokers send markers by a connection of their own, so nothing else waits behind them.
fn requests(from: &mut TcpStream, to: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let mut frame = Vec::new();
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if size > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        frame.clear();
        frame.extend_from_slice(&length);
        frame.resize(4 + size, 0);
        from.read_exact(&mut frame[4..])?;
        if shared.delay() > Duration::ZERO && is_late(&frame[4..]) {
            shared.delayed.fetch_add(1, Ordering::Relaxed);
            let since = Instant::now();
            while since.elapsed() < shared.delay() {
                thread::sleep(Duration::from_millis(5));
            }
        }
        to.write_all(&frame)?;
    }
}

/// Markers of topics, not of a group's offsets: with those late too, nobody would go on without waiting for all of them.
fn is_late(request: &[u8]) -> bool {
    request.get(..2) == Some(&WRITE_TXN_MARKERS.to_be_bytes())
        && !request
            .windows(GROUP_OFFSETS.len())
            .any(|w| w == GROUP_OFFSETS)
}
