//! Layer 2. Batches of records as the embedded log stores them: one value per batch, the base offset in its key.
//!
//! The format is described in `docs/formats.md`; all integers are big-endian. Reading trusts nothing: damaged bytes are an error.

use bytes::{BufMut, Bytes, BytesMut};

use crate::outbox::Outgoing;
use crate::record::{Header, Headers, Timestamp};
use crate::transport::ConsumedRecord;

/// The version that this code writes, the batch's first byte.
pub(super) const VERSION: u8 = 1;
/// Bytes before the first record.
pub(super) const HEADER: usize = 36;
/// Bytes of a record besides key, value and headers.
const RECORD_HEADER: usize = 24;
/// Where the checksum stands.
const CHECKSUM: std::ops::Range<usize> = 28..36;
/// No batch grows beyond this, unless a single record does.
pub(super) const TARGET_SIZE: usize = 64 * 1024;

/// A batch that cannot be read.
#[derive(Debug)]
pub(super) struct Corrupt(pub(super) &'static str);

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchInfo {
    /// How many records it has.
    pub(super) count: u32,
    /// The offset after its range, less its base offset. After a compaction the range has gaps.
    pub(super) span: u32,
    /// The greatest timestamp of its records.
    pub(super) max_timestamp: Timestamp,
    /// When its tombstones may go; `None` if it has none or was not compacted yet.
    pub(super) delete_horizon: Option<i64>,
}

impl BatchInfo {
    const EMPTY: BatchInfo = BatchInfo {
        count: 0,
        span: 0,
        max_timestamp: Timestamp::MIN,
        delete_horizon: None,
    };

    /// Reads a batch's header.
    pub(super) fn read(batch: &[u8]) -> Result<BatchInfo, Corrupt> {
        let header: &[u8; HEADER] = batch
            .first_chunk()
            .ok_or(Corrupt("a batch ends within its header"))?;
        if header[0] != VERSION {
            return Err(Corrupt("a batch has an unknown version"));
        }
        let horizon = i64_at(header, 20);
        Ok(BatchInfo {
            count: u32_at(header, 4),
            span: u32_at(header, 8),
            max_timestamp: i64_at(header, 12),
            delete_horizon: (horizon >= 0).then_some(horizon),
        })
    }

    fn write(self, into: &mut [u8]) {
        let Some(header) = into.first_chunk_mut::<HEADER>() else {
            return;
        };
        *header = [0; HEADER];
        header[0] = VERSION;
        header[4..8].copy_from_slice(&self.count.to_be_bytes());
        header[8..12].copy_from_slice(&self.span.to_be_bytes());
        header[12..20].copy_from_slice(&self.max_timestamp.to_be_bytes());
        header[20..28].copy_from_slice(&self.delete_horizon.unwrap_or(-1).to_be_bytes());
    }
}

fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |b| u32::from_be_bytes(*b))
}

fn i64_at<const N: usize>(bytes: &[u8; N], at: usize) -> i64 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |b| i64::from_be_bytes(*b))
}

/// Encodes records of one partition into consecutive batches in one buffer, so that a commit allocates once per partition.
#[derive(Debug, Default)]
pub(super) struct BatchWriter {
    buffer: BytesMut,
    /// Where the closed batches end.
    cuts: Vec<usize>,
    open: Option<OpenBatch>,
}

#[derive(Debug, Clone, Copy)]
struct OpenBatch {
    start: usize,
    info: BatchInfo,
}

/// A point to return to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    length: usize,
    cuts: usize,
    open: Option<OpenBatch>,
}

impl BatchWriter {
    /// Appends a record. Its offset is the next one.
    pub(super) fn push(&mut self, record: &Outgoing<'_>, timestamp: Timestamp) {
        let size = record_size(record);
        self.open_for(size);
        let delta = self.open.map_or(0, |open| open.info.span);
        self.append(delta, timestamp, record.key, record.value, size, |buffer| {
            encode_headers(record.headers, buffer);
        });
    }

    /// Opens a batch that has room for a record, closing the one before.
    fn open_for(&mut self, size: usize) {
        if let Some(open) = self.open
            && open.info.count > 0
            && self.buffer.len() - open.start + size > TARGET_SIZE
        {
            self.close();
        }
        if self.open.is_none() {
            self.open = Some(OpenBatch {
                start: self.buffer.len(),
                info: BatchInfo::EMPTY,
            });
            self.buffer.put_bytes(0, HEADER);
        }
    }

    fn append(
        &mut self,
        delta: u32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        size: usize,
        headers: impl FnOnce(&mut BytesMut),
    ) {
        let Some(open) = &mut self.open else { return };
        open.info.count += 1;
        open.info.span = delta + 1;
        open.info.max_timestamp = open.info.max_timestamp.max(timestamp);
        let (key_len, value_len) = (key.map_or(-1, length), value.map_or(-1, length));
        let payload = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let headers_len = u32::try_from(size - RECORD_HEADER - payload).unwrap_or(u32::MAX);
        let mut fixed = [0; RECORD_HEADER];
        fixed[0..4].copy_from_slice(&delta.to_be_bytes());
        fixed[4..12].copy_from_slice(&timestamp.to_be_bytes());
        fixed[12..16].copy_from_slice(&key_len.to_be_bytes());
        fixed[16..20].copy_from_slice(&value_len.to_be_bytes());
        fixed[20..24].copy_from_slice(&headers_len.to_be_bytes());
        self.buffer.reserve(size);
        self.buffer.extend_from_slice(&fixed);
        self.buffer.extend_from_slice(key.unwrap_or_default());
        self.buffer.extend_from_slice(value.unwrap_or_default());
        if headers_len > 0 {
            headers(&mut self.buffer);
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            if let Some(bytes) = self.buffer.get_mut(open.start..) {
                open.info.write(bytes);
            }
            self.cuts.push(self.buffer.len());
        }
    }

    /// Makes room for so many bytes in all.
    pub(super) fn reserve(&mut self, size: usize) {
        self.buffer.reserve(size.saturating_sub(self.buffer.len()));
    }

    /// How many bytes there are.
    pub(super) fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Where the writer stands now.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            length: self.buffer.len(),
            cuts: self.cuts.len(),
            open: self.open,
        }
    }

    /// Forgets what was pushed since the mark.
    pub(super) fn rewind(&mut self, mark: Mark) {
        self.buffer.truncate(mark.length);
        self.cuts.truncate(mark.cuts);
        self.open = mark.open;
    }

    /// The batches in order. All share one buffer.
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        self.close();
        let mut all = self.buffer.freeze();
        let mut start = 0;
        self.cuts
            .iter()
            .map(|end| {
                let batch = all.split_to(end - start);
                start = *end;
                batch
            })
            .collect()
    }
}

/// What a record takes in a batch.
pub(super) fn record_size(record: &Outgoing<'_>) -> usize {
    RECORD_HEADER
        + record.key.map_or(0, <[u8]>::len)
        + record.value.map_or(0, <[u8]>::len)
        + headers_size(record.headers)
}

/// What a single record may take, so that its lengths fit the format.
pub(super) const MAX_RECORD_SIZE: usize = i32::MAX as usize;

fn length(bytes: &[u8]) -> i32 {
    // The producer refuses records beyond `MAX_RECORD_SIZE`.
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

fn headers_size(headers: &Headers) -> usize {
    if headers.is_empty() {
        return 0;
    }
    4 + headers
        .iter()
        .map(|h| 8 + h.key.len() + h.value.as_ref().map_or(0, Bytes::len))
        .sum::<usize>()
}

fn encode_headers(headers: &Headers, into: &mut BytesMut) {
    into.put_u32(u32::try_from(headers.len()).unwrap_or(u32::MAX));
    for header in headers {
        into.put_i32(length(header.key.as_bytes()));
        into.extend_from_slice(header.key.as_bytes());
        into.put_i32(header.value.as_ref().map_or(-1, |v| length(v)));
        into.extend_from_slice(header.value.as_deref().unwrap_or_default());
    }
}

/// Reads the records of a batch one after the other. Keys and values are slices of the batch.
#[derive(Debug, Clone)]
pub(super) struct BatchReader {
    batch: Bytes,
    base: i64,
    position: usize,
    /// Records that were not looked at yet, as the batch says.
    remaining: usize,
}

/// Where a record's parts lie in its batch.
struct Located {
    delta: u32,
    timestamp: Timestamp,
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
    headers: (usize, usize),
}

impl Located {
    fn offset(&self, base: i64) -> i64 {
        base.saturating_add(i64::from(self.delta))
    }

    fn candidate<'a>(&self, base: i64, batch: &'a [u8]) -> Candidate<'a> {
        Candidate {
            offset: self.offset(base),
            key: self.key.and_then(|(start, end)| batch.get(start..end)),
            is_tombstone: self.value.is_none(),
        }
    }
}

impl BatchReader {
    /// Begins with the first record.
    pub(super) fn new(base: i64, batch: Bytes) -> Self {
        let remaining = BatchInfo::read(&batch).map_or(0, |info| info.count as usize);
        BatchReader {
            batch,
            base,
            position: HEADER,
            remaining,
        }
    }

    /// About how many records are left.
    pub(super) fn remaining(&self) -> usize {
        self.remaining
    }

    fn locate(&mut self) -> Option<Result<Located, Corrupt>> {
        let rest = self.batch.get(self.position..).unwrap_or_default();
        if rest.is_empty() {
            return None;
        }
        let Some(fixed) = rest.first_chunk::<RECORD_HEADER>() else {
            return Some(Err(Corrupt("a batch ends within a record")));
        };
        let mut at = self.position + RECORD_HEADER;
        let mut part = |length: u32| {
            let start = at;
            at = at.saturating_add(length as usize);
            (start, at)
        };
        let mut nullable = |length: u32| (length <= i32::MAX as u32).then(|| part(length));
        let key = nullable(u32_at(fixed, 12));
        let value = nullable(u32_at(fixed, 16));
        let headers = part(u32_at(fixed, 20));
        if headers.1 > self.batch.len() {
            return Some(Err(Corrupt("a batch ends within a record")));
        }
        self.position = headers.1;
        self.remaining = self.remaining.saturating_sub(1);
        Some(Ok(Located {
            delta: u32_at(fixed, 0),
            timestamp: i64_at(fixed, 4),
            key,
            value,
            headers,
        }))
    }

    /// Appends records from an offset on, `limit` at most. Tells whether the batch is used up.
    pub(super) fn read(
        &mut self,
        from: i64,
        limit: usize,
        into: &mut Vec<ConsumedRecord>,
    ) -> Result<bool, Corrupt> {
        let mut left = limit;
        while left > 0 {
            let Some(found) = self.locate() else {
                return Ok(true);
            };
            let found = found?;
            let offset = found.offset(self.base);
            if offset < from {
                continue;
            }
            let slice = |(start, end): (usize, usize)| self.batch.slice(start..end);
            into.push(ConsumedRecord {
                offset,
                timestamp: found.timestamp,
                key: found.key.map(slice),
                value: found.value.map(slice),
                headers: if found.headers.0 == found.headers.1 {
                    Headers::new()
                } else {
                    decode_headers(slice(found.headers))?
                },
            });
            left -= 1;
        }
        Ok(self.position >= self.batch.len())
    }
}

fn decode_headers(mut bytes: Bytes) -> Result<Headers, Corrupt> {
    const DAMAGED: Corrupt = Corrupt("a record's headers are damaged");
    fn number(bytes: &mut Bytes) -> Option<u32> {
        let number = u32::from_be_bytes(*bytes.first_chunk()?);
        drop(bytes.split_to(4));
        Some(number)
    }
    fn part(bytes: &mut Bytes, length: u32) -> Option<Bytes> {
        let length = length as usize;
        (length <= bytes.len()).then(|| bytes.split_to(length))
    }
    let count = number(&mut bytes).ok_or(DAMAGED)?;
    (0..count)
        .map(|_| {
            let key_len = number(&mut bytes)?;
            let key = String::from_utf8(part(&mut bytes, key_len)?.into()).ok()?;
            let value_len = number(&mut bytes)?;
            let value = if value_len > i32::MAX as u32 {
                None
            } else {
                Some(part(&mut bytes, value_len)?)
            };
            Some(Header { key, value })
        })
        .collect::<Option<Headers>>()
        .ok_or(DAMAGED)
}

/// A record as compaction looks at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its offset.
    pub(super) offset: i64,
    /// Its key.
    pub(super) key: Option<&'a [u8]>,
    /// Whether its value is null.
    pub(super) is_tombstone: bool,
}

/// Calls `f` for each record of a batch.
pub(super) fn for_each(
    base: i64,
    batch: &Bytes,
    mut f: impl FnMut(Candidate<'_>),
) -> Result<(), Corrupt> {
    let mut reader = BatchReader::new(base, batch.clone());
    while let Some(found) = reader.locate() {
        let found = found?;
        f(found.candidate(base, batch));
    }
    Ok(())
}

/// Copies what compaction keeps into new batches, joining small ones. Records keep their offsets.
#[derive(Debug, Default)]
pub(super) struct Rewriter {
    base: i64,
    info: Option<BatchInfo>,
    bytes: BytesMut,
    /// Finished batches, by base offset.
    pub(super) finished: Vec<(i64, Bytes)>,
}

impl Rewriter {
    /// Copies the records of a batch that `keep` wants. A batch with tombstones that stay has `horizon`, or the one it had.
    pub(super) fn copy(
        &mut self,
        base: i64,
        batch: &Bytes,
        horizon: i64,
        mut keep: impl FnMut(Candidate<'_>) -> bool,
    ) -> Result<(), Corrupt> {
        let old = BatchInfo::read(batch)?;
        let end = base.saturating_add(i64::from(old.span));
        let fits = |first: i64| u32::try_from(end.saturating_sub(first)).is_ok();
        if self.bytes.len() + batch.len() > TARGET_SIZE || !fits(self.base) {
            self.finish();
        }
        let mut reader = BatchReader::new(base, batch.clone());
        let mut start = reader.position;
        while let Some(found) = reader.locate() {
            let found = found?;
            let candidate = found.candidate(base, batch);
            if keep(candidate) {
                if self.info.is_none() {
                    self.base = candidate.offset;
                    self.bytes.put_bytes(0, HEADER);
                }
                let info = self.info.get_or_insert(BatchInfo::EMPTY);
                info.count += 1;
                info.max_timestamp = info.max_timestamp.max(found.timestamp);
                if candidate.is_tombstone {
                    info.delete_horizon = info
                        .delete_horizon
                        .max(old.delete_horizon.or(Some(horizon)));
                }
                let delta = u32::try_from(candidate.offset - self.base)
                    .map_err(|_| Corrupt("a batch's offsets fall"))?;
                self.bytes.put_u32(delta);
                let rest = batch.get(start + 4..reader.position).unwrap_or_default();
                self.bytes.extend_from_slice(rest);
            }
            start = reader.position;
        }
        if let Some(info) = &mut self.info {
            info.span =
                u32::try_from(end - self.base).map_err(|_| Corrupt("a batch's offsets fall"))?;
        }
        Ok(())
    }

    /// Ends the batch in progress.
    pub(super) fn finish(&mut self) {
        if let Some(info) = self.info.take() {
            let mut bytes = std::mem::take(&mut self.bytes);
            info.write(&mut bytes);
            self.finished.push((self.base, bytes.freeze()));
        }
    }
}

/// A batch with its checksum, for the disk.
pub(super) fn sealed(batch: &[u8]) -> Vec<u8> {
    let mut copy = batch.to_vec();
    let sum = checksum(batch);
    if let Some(field) = copy.get_mut(CHECKSUM) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    copy
}

/// Whether a batch from the disk is whole.
pub(super) fn is_whole(batch: &[u8]) -> bool {
    let stored = batch
        .get(CHECKSUM)
        .and_then(|b| b.first_chunk())
        .map(|b| u64::from_be_bytes(*b));
    stored == Some(checksum(batch))
}

/// A fast sum over everything but its own field: words of eight bytes, each rotated in and multiplied, then the length.
/// It is there to notice damage, not to resist an attacker.
fn checksum(batch: &[u8]) -> u64 {
    const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut sum: u64 = PRIME;
    for part in [batch.get(..CHECKSUM.start), batch.get(CHECKSUM.end..)] {
        let (words, rest) = part.unwrap_or_default().as_chunks::<8>();
        for word in words {
            sum = (sum.rotate_left(23) ^ u64::from_be_bytes(*word)).wrapping_mul(PRIME);
        }
        for byte in rest {
            sum = (sum.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
    (sum ^ (sum >> 29) ^ batch.len() as u64).wrapping_mul(PRIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: &'a Headers,
    ) -> Outgoing<'a> {
        Outgoing {
            topic: 0,
            partition: Some(0),
            key,
            value,
            timestamp: None,
            headers,
        }
    }

    fn read_all(base: i64, batches: &[Bytes]) -> Vec<ConsumedRecord> {
        let mut base = base;
        let mut all = Vec::new();
        for batch in batches {
            assert!(
                BatchReader::new(base, batch.clone())
                    .read(0, usize::MAX, &mut all)
                    .unwrap()
            );
            base += i64::from(BatchInfo::read(batch).unwrap().span);
        }
        all
    }

    #[test]
    fn nulls_empties_and_headers_come_back() {
        let none = Headers::new();
        let mut some = Headers::new();
        some.add("trace", &b"abc"[..]);
        some.push(Header {
            key: "nothing".to_owned(),
            value: None,
        });
        let mut writer = BatchWriter::default();
        writer.push(&record(None, Some(b"v"), &none), 1);
        writer.push(&record(Some(b""), None, &some), -5);
        writer.push(&record(Some(b"k"), Some(b""), &none), 7);
        let batches = writer.finish();
        assert_eq!(batches.len(), 1);
        let info = BatchInfo::read(&batches[0]).unwrap();
        assert_eq!((info.count, info.span, info.max_timestamp), (3, 3, 7));
        let all = read_all(10, &batches);
        assert_eq!(
            all.iter().map(|r| r.offset).collect::<Vec<_>>(),
            [10, 11, 12]
        );
        assert_eq!(all[0].key, None);
        assert_eq!(all[1].key.as_deref(), Some(&b""[..]));
        assert_eq!(
            (all[1].value.clone(), &all[1].headers, all[1].timestamp),
            (None, &some, -5)
        );
        assert_eq!(all[2].value.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn large_transactions_become_several_batches_and_rewind_undoes() {
        let none = Headers::new();
        let value = vec![7; 1000];
        let mut writer = BatchWriter::default();
        writer.push(&record(Some(b"first"), Some(&value), &none), 0);
        let mark = writer.mark();
        for _ in 0..500 {
            writer.push(&record(Some(b"k"), Some(&value), &none), 0);
        }
        writer.rewind(mark);
        for i in 0..200 {
            writer.push(&record(Some(b"k"), Some(&value), &none), i);
        }
        let batches = writer.finish();
        assert!(batches.len() > 2 && batches.iter().all(|b| b.len() <= TARGET_SIZE));
        let all = read_all(0, &batches);
        assert_eq!(all.len(), 201);
        assert!(all.iter().enumerate().all(|(i, r)| r.offset == i as i64));
    }

    #[test]
    fn rewriting_joins_batches_and_keeps_offsets() {
        let none = Headers::new();
        let mut rewriter = Rewriter::default();
        for (base, keys) in [
            (10, ["a", "b", "c"]),
            (13, ["d", "a", "e"]),
            (20, ["x", "x", "x"]),
        ] {
            let mut writer = BatchWriter::default();
            for key in keys {
                let value = (key != "d").then_some(&b"v"[..]);
                writer.push(&record(Some(key.as_bytes()), value, &none), base);
            }
            let batch = writer.finish().remove(0);
            rewriter
                .copy(base, &batch, 500, |c| {
                    c.offset != 10 && c.offset != 15 && c.offset < 20
                })
                .unwrap();
        }
        rewriter.finish();
        assert_eq!(rewriter.finished.len(), 1);
        let (base, batch) = &rewriter.finished[0];
        let info = BatchInfo::read(batch).unwrap();
        assert_eq!(
            (*base, info.count, info.span, info.delete_horizon),
            (11, 4, 12, Some(500))
        );
        let found = read_all(*base, std::slice::from_ref(batch));
        let found: Vec<_> = found
            .iter()
            .map(|r| (r.offset, r.key.as_deref().unwrap()))
            .collect();
        assert_eq!(found, [(11, &b"b"[..]), (12, b"c"), (13, b"d"), (14, b"a")]);
    }

    /// The example of `docs/formats.md`.
    #[test]
    fn a_batch_has_the_bytes_that_the_format_says() {
        let mut writer = BatchWriter::default();
        writer.push(&record(Some(b"k"), Some(b"v"), &Headers::new()), 5);
        let text = "01 000000 00000001 00000001 0000000000000005 ffffffffffffffff 0000000000000000
                    00000000 0000000000000005 00000001 00000001 00000000 6b 76";
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let expected: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let batch = writer.finish().remove(0);
        assert_eq!(&batch[..], expected);
        assert_eq!(checksum(&batch), 0x3898_785a_3949_faf6);
    }

    #[test]
    fn damage_is_an_error_and_noticed_by_the_checksum() {
        let mut headers = Headers::new();
        headers.add("h", &b"x"[..]);
        let mut writer = BatchWriter::default();
        for _ in 0..4 {
            writer.push(&record(Some(b"key"), Some(b"value"), &headers), 0);
        }
        let whole = sealed(&writer.finish()[0]);
        assert!(is_whole(&whole));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            assert!(!is_whole(&damaged), "byte {at}");
            let mut into = Vec::new();
            // Whatever it says, it neither panics nor allocates by a damaged length.
            if BatchInfo::read(&damaged).is_ok() {
                let _ = BatchReader::new(0, damaged.clone().into()).read(0, usize::MAX, &mut into);
            }
            let _ = BatchReader::new(0, Bytes::copy_from_slice(&whole[..at])).read(0, 9, &mut into);
        }
    }
}
