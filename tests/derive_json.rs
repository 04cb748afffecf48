//! `#[derive(Json)]` on the kinds of types that users have.
#![allow(missing_docs, reason = "test types")]

use kstreams::{Json, Serde};

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, Json)]
struct Order {
    total: u64,
    id: String,
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, Json)]
#[serde(rename_all = "snake_case")]
enum Event {
    Opened { by: String },
    Closed,
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, Json)]
struct Page<T, const N: usize>
where
    T: Clone,
{
    items: Vec<T>,
}

mod renamed {
    pub(crate) mod streams {
        pub(crate) use kstreams::__private;
    }
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, Json)]
#[kstreams(crate = crate::renamed::streams)]
struct Elsewhere(u8);

fn check<T: Serde + PartialEq + std::fmt::Debug>(value: &T, json: &str) {
    let mut bytes = Vec::new();
    value.serialize(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), json);
    assert_eq!(&T::deserialize(json.as_bytes()).unwrap(), value);
}

#[test]
fn a_derived_type_is_its_json() {
    check(
        &Order {
            total: 3,
            id: "a".into(),
        },
        r#"{"total":3,"id":"a"}"#,
    );
    check(
        &Event::Opened { by: "me".into() },
        r#"{"opened":{"by":"me"}}"#,
    );
    check(&Event::Closed, r#""closed""#);
    check(&Page::<i32, 2> { items: vec![1] }, r#"{"items":[1]}"#);
    check(&Elsewhere(9), "9");
    check(&Some(Json(7)), "7");
}
