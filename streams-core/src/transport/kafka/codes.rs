//! Layer 2. librdkafka's error codes as the numbers that they are, and its texts.
//!
//! A broker may answer a code that rdkafka's enum does not have, and such a value of the enum would be undefined behaviour. So every
//! call that tells a code is declared here with a number in the enum's place.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; what is unsafe about it stays in these helper files"
)]

use std::ffi::{CStr, c_char, c_int};

use rdkafka::bindings as sys;

#[allow(
    clashing_extern_declarations,
    reason = "rdkafka declares the same functions with an enum in place of the number"
)]
mod ffi {
    use super::{c_char, c_int, sys};

    unsafe extern "C" {
        pub(in super::super) fn rd_kafka_last_error() -> c_int;
        pub(in super::super) fn rd_kafka_error_code(error: *const sys::rd_kafka_error_t) -> c_int;
        pub(in super::super) fn rd_kafka_event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
        pub(in super::super) fn rd_kafka_fatal_error(
            rk: *mut sys::rd_kafka_t,
            text: *mut c_char,
            size: usize,
        ) -> c_int;
        pub(in super::super) fn rd_kafka_topic_result_error(
            result: *const sys::rd_kafka_topic_result_t,
        ) -> c_int;
        pub(in super::super) fn rd_kafka_ConfigResource_error(
            resource: *const sys::rd_kafka_ConfigResource_t,
        ) -> c_int;
        pub(in super::super) fn rd_kafka_metadata(
            rk: *mut sys::rd_kafka_t,
            all: c_int,
            topic: *mut sys::rd_kafka_topic_t,
            metadata: *mut *const sys::rd_kafka_metadata,
            ms: c_int,
        ) -> c_int;
        pub(in super::super) fn rd_kafka_producev(rk: *mut sys::rd_kafka_t, ...) -> c_int;
        pub(in super::super) fn rd_kafka_flush(rk: *mut sys::rd_kafka_t, ms: c_int) -> c_int;
        pub(super) fn rd_kafka_err2str(code: c_int) -> *const c_char;
        pub(super) fn rd_kafka_err2name(code: c_int) -> *const c_char;
    }
}
pub(super) use ffi::{
    rd_kafka_ConfigResource_error, rd_kafka_error_code, rd_kafka_event_error, rd_kafka_fatal_error,
    rd_kafka_flush, rd_kafka_last_error, rd_kafka_metadata, rd_kafka_producev,
    rd_kafka_topic_result_error,
};

/// What a code means, in librdkafka's words.
pub(super) fn meaning(code: i32) -> String {
    // SAFETY: takes any number, and tells a string that is never freed.
    unsafe { text(ffi::rd_kafka_err2str(code)) }
}

/// A code's name, `_TIMED_OUT` say.
pub(super) fn name(code: i32) -> String {
    // SAFETY: takes any number, and tells a string that is never freed.
    unsafe { text(ffi::rd_kafka_err2name(code)) }
}

/// A code in a struct, as a number.
///
/// # Safety
/// The place must be readable.
pub(super) unsafe fn read(code: *const sys::rd_kafka_resp_err_t) -> i32 {
    // SAFETY: as the caller promises; the enum has a number's size.
    unsafe { code.cast::<i32>().read() }
}

/// A C string as text; null is empty.
///
/// # Safety
/// `string` is null or ends with a zero.
pub(super) unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(string) }
        .to_string_lossy()
        .into_owned()
}
