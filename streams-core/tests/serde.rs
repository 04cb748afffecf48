//! Wire formats: Kafka's bytes, and that what is written is what is read.

use bytes::Bytes;
use proptest::prelude::*;
use streams_core::serde::{Json, Serde, SerdeError};
use uuid::Uuid;

fn written<T: Serde>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.serialize(&mut out).unwrap();
    out
}

fn round_trips<T: Serde + PartialEq + std::fmt::Debug>(value: &T) {
    assert_eq!(&T::deserialize(&written(value)).unwrap(), value);
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Point {
    y: i32,
    x: Option<String>,
}

#[test]
fn bytes_are_kafkas() {
    assert_eq!(written(&"é".to_owned()), [0xc3, 0xa9]);
    assert_eq!(written(&1_i32), [0, 0, 0, 1]);
    assert_eq!((written(&true), written(&false)), (vec![1], vec![0]));
    assert_eq!(written(&-2_i64), [255, 255, 255, 255, 255, 255, 255, 254]);
    assert_eq!(written(&1.5_f64), [0x3f, 0xf8, 0, 0, 0, 0, 0, 0]);
    let uuid = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
    assert_eq!(written(&uuid), b"67e55044-10b1-426f-9247-bb680e5fe0c8");
    assert_eq!(
        Uuid::deserialize(b"67E55044-10B1-426F-9247-BB680E5FE0C8"),
        Ok(uuid)
    );
    assert_eq!(
        written(&Json(Point { y: 1, x: None })),
        br#"{"y":1,"x":null}"#
    );
    let value: serde_json::Value = serde_json::from_str(r#"{"b": 1, "a": [true]}"#).unwrap();
    assert_eq!(
        written(&Json(value)),
        br#"{"a":[true],"b":1}"#,
        "an object's keys are sorted"
    );
}

#[test]
fn nulls_are_for_nullable_types() {
    assert_eq!(Option::<i64>::deserialize_nullable(None), Ok(None));
    assert_eq!(<()>::deserialize_nullable(None), Ok(()));
    assert!(().is_null() && None::<i64>.is_null() && Some(()).is_null() && !Some(1).is_null());
    let error = String::deserialize_nullable(None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`Option<alloc::string::String>`"),
        "{error}"
    );
    assert_eq!(
        String::deserialize_nullable(Some(b"")),
        Ok(String::new()),
        "empty is not null"
    );
}

#[test]
fn wrong_bytes_are_an_error_that_says_why() {
    let error = i64::deserialize(&[1, 2]).unwrap_err();
    assert_eq!(
        error,
        SerdeError::Length {
            type_name: "i64",
            expected: 8,
            actual: 2
        }
    );
    assert!(String::deserialize(&[0xff]).is_err());
    let error = bool::deserialize(&[2]).unwrap_err().to_string();
    assert!(error.contains("neither 0 nor 1"), "{error}");
    assert!(bool::deserialize(&[]).is_err() && bool::deserialize(&[1, 1]).is_err());
    assert_eq!(bool::from_text(" true "), Ok(true));
    assert!(bool::from_text("yes").is_err());
    assert!(
        Uuid::deserialize(b"67e5504410b1426f9247bb680e5fe0c8").is_err(),
        "no dashes"
    );
    let error = Json::<Point>::deserialize(b"{\"y\":")
        .unwrap_err()
        .to_string();
    assert!(error.contains("Point") && error.contains("EOF"), "{error}");
}

#[test]
fn people_read_and_write_values() {
    assert_eq!(i64::from_text(" 7\n"), Ok(7));
    assert_eq!(
        Json::<Point>::from_text(r#"{"y":2}"#),
        Ok(Json(Point { y: 2, x: None }))
    );
    assert_eq!(
        Json(Point { y: 2, x: None }).to_json(),
        serde_json::json!({"x": null, "y": 2})
    );
    assert_eq!(None::<i64>.to_json(), serde_json::Value::Null);
    assert_eq!("a".to_owned().to_json(), "a");
}

#[test]
fn json_that_cannot_be_written_leaves_nothing_behind() {
    let keys_are_no_strings = Json(std::collections::BTreeMap::from([((1, 2), 3)]));
    let mut out = vec![7];
    assert!(Serde::serialize(&keys_are_no_strings, &mut out).is_err());
    assert_eq!(out, [7]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        text: String, bytes: Vec<u8>, a: i64, b: u16, c: i8, f: f64, uuid: u128, y: i32, x: Option<String>,
    ) {
        round_trips(&text);
        round_trips(&bytes);
        round_trips(&Bytes::from(bytes));
        round_trips(&(a > 0));
        round_trips(&a);
        round_trips(&Some(b));
        round_trips(&c);
        prop_assert_eq!(f64::deserialize(&written(&f)).unwrap().to_bits(), f.to_bits());
        round_trips(&Uuid::from_u128(uuid));
        round_trips(&Json(Point { y, x }));
    }

    #[test]
    fn no_bytes_are_a_panic(bytes: Vec<u8>) {
        let _ = String::deserialize(&bytes);
        let _ = i32::deserialize(&bytes);
        let _ = Uuid::deserialize(&bytes);
        let _ = Json::<Point>::deserialize(&bytes);
        let _ = Option::<u64>::deserialize(&bytes);
    }
}
