//! Layer 2. How many partitions a topic has, asked of a broker: one way for members, readers and producers. (Administrators
//! describe the topic, which never creates it.)
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; what is unsafe about it stays in these helper files"
)]

use std::ffi::CString;

use rdkafka::bindings as sys;

use super::codes;
use super::errors::{Code, Failure, checked};

/// At least one, or why a broker tells nothing. A partition without a leader is a partition all the same.
///
/// # Safety
/// The client must be alive.
pub(super) unsafe fn partitions(
    rk: *mut sys::rd_kafka_t,
    topic: &str,
    ms: i32,
) -> Result<i32, Failure> {
    let unknown = || Failure::of(Code::UnknownTopicOrPartition);
    let name = CString::new(topic).map_err(|_| unknown())?;
    let mut metadata = std::ptr::null();
    // SAFETY: the client lives; the topic lives until it is destroyed here. What is told lives until it is destroyed; of it,
    // `topic_cnt` topics are read, and a topic's code as a number.
    let (code, count) = unsafe {
        let rkt = sys::rd_kafka_topic_new(rk, name.as_ptr(), std::ptr::null_mut());
        if rkt.is_null() {
            return Err(unknown());
        }
        let asked = checked(codes::rd_kafka_metadata(rk, 0, rkt, &raw mut metadata, ms));
        sys::rd_kafka_topic_destroy(rkt);
        asked?;
        let found = if (*metadata).topic_cnt > 0 {
            let topic = (*metadata).topics;
            let code = codes::read(&raw const (*topic).err);
            (code, (*topic).partition_cnt)
        } else {
            (0, 0)
        };
        sys::rd_kafka_metadata_destroy(metadata);
        found
    };
    match (code, count) {
        (_, count) if count > 0 => Ok(count),
        (0, _) => Err(unknown()),
        (code, _) => Err(Failure::of_number(code)),
    }
}
