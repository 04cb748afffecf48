//! Asks a broker which brokers it sees: one request of Kafka's protocol, so that no client library is needed for it.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Metadata, version 1, of no topic; correlation id 7, client id null.
const METADATA: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many brokers the one at this address sees alive.
pub(crate) fn brokers_seen_by(address: &str) -> io::Result<usize> {
    let address = address
        .parse()
        .map_err(|_| io::Error::other("not an address of a host and a port"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&METADATA)?;
    // Length, correlation id, then the array of brokers.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let brokers = u32::from_be_bytes([answer[8], answer[9], answer[10], answer[11]]);
    usize::try_from(brokers).map_err(io::Error::other)
}
